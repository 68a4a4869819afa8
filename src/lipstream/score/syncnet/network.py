"""The network: 1024 features of five frames of a face, and of the fifth of a second beside them.

The layers and the names of their tensors are those of the published file, `syncnet_v2.model`.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from lipstream.errors import CheckpointError
from lipstream.score.syncnet.distances import WINDOW
from lipstream.score.syncnet.mfcc import STEPS_HEARD, STEPS_PER_FRAME

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

FEATURES, WIDTH = 1024, 512
COUNTER = "num_batches_tracked"  # that old files lack, and nothing here needs
FILE = "syncnet_v2.model of the public evaluation"


class SyncNet(nn.Module):
    """Lips and sound as points that lie near each other where both say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_hearing(1, 64, 3, 1),
            nn.MaxPool2d(1),
            *_hearing(64, 192, 3, 1),
            nn.MaxPool2d(3, (1, 2)),
            *_hearing(192, 384, 3, 1),
            *_hearing(384, 256, 3, 1),
            *_hearing(256, 256, 3, 1),
            nn.MaxPool2d(3, 2),
            *_hearing(256, WIDTH, (5, 4), 0),
        )
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = nn.Sequential(
            *_seeing(3, 96, (WINDOW, 7, 7), 2, 0),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_seeing(96, 256, (1, 5, 5), 2, 1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_seeing(256, 256, (1, 3, 3), 1, 1),
            *_seeing(256, 256, (1, 3, 3), 1, 1),
            *_seeing(256, 256, (1, 3, 3), 1, 1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_seeing(256, WIDTH, (1, 6, 6), 1, 0),
        )

    @torch.inference_mode()
    def see(self, faces: Image) -> Floats:
        """(n + 4, 224, 224, 3) RGB, 25 a second -> (n, 1024): of frames 0 to 4, of 1 to 5, ...

        Only the first layer looks at several frames, so a run of them is read at once.
        """
        blue_first = torch.from_numpy(np.ascontiguousarray(faces[..., ::-1]))
        run = blue_first.permute(3, 0, 1, 2)[None].float()
        seen = self.netcnnlip(run)[0, :, :, 0, 0].T
        return np.asarray(self.netfclip(seen).numpy(), np.float32)

    @torch.inference_mode()
    def hear(self, coefficients: Floats) -> Floats:
        """(4 (n - 1) + 20, 13) -> (n, 1024): of the sound beside frames 0 to 4, 1 to 5, ..."""
        windows = torch.from_numpy(coefficients).float().unfold(0, STEPS_HEARD, STEPS_PER_FRAME)
        heard = self.netcnnaud(windows[:, None])
        return np.asarray(self.netfcaud(heard[:, :, 0, 0]).numpy(), np.float32)


def load_syncnet(path: Path) -> SyncNet:
    """The network with the weights of a file, in evaluation mode. Nothing in the file is run.

    CheckpointError for a file that is not there, is damaged, or is of another network.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path} is no plain weights file of PyTorch.") from error
    except Exception as error:  # a damaged pickle can raise anything
        raise CheckpointError(f"{path} is damaged, cut short, or no file of PyTorch.") from error
    network = SyncNet()
    wanted = network.state_dict()
    if not isinstance(state, dict) or not all(isinstance(one, Tensor) for one in state.values()):
        raise CheckpointError(f"{path} holds no table of tensors; --syncnet takes {FILE}.")
    for name in sorted(wanted.keys() | state.keys(), key=str):
        if not str(name).endswith(COUNTER):
            _check(path, str(name), wanted.get(name), state.get(name))
    network.load_state_dict({name: state.get(name, wanted[name]) for name in wanted})
    return network.eval().requires_grad_(False)


def _check(path: Path, name: str, wanted: Tensor | None, found: Tensor | None) -> None:
    if wanted is None or found is None:
        what = "has no" if found is None else "has an unknown"
        raise CheckpointError(f"{path} {what} tensor {name}; --syncnet takes {FILE}.")
    if wanted.shape != found.shape:
        raise CheckpointError(
            f"{path}: {name} is {tuple(found.shape)} and not {tuple(wanted.shape)}; "
            f"--syncnet takes {FILE}."
        )


def _hearing(
    inputs: int, outputs: int, kernel: int | tuple[int, int], padding: int
) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=padding)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


def _seeing(
    inputs: int, outputs: int, kernel: tuple[int, int, int], stride: int, padding: int
) -> tuple[nn.Module, ...]:
    convolution = nn.Conv3d(inputs, outputs, kernel, (1, stride, stride), (0, padding, padding))
    return convolution, nn.BatchNorm3d(outputs), nn.ReLU()


def _head() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.Linear(WIDTH, FEATURES)
    )
