"""HuBERT, for checkpoints of MuseTalk whose cross attention takes 768 numbers every 20 ms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipstream.errors import CheckpointError, MissingError
from lipstream.installation import install_command
from lipstream.media.image import Floats
from lipstream.speech.musetalk.backbone import Excerpt
from lipstream.timeline import FEATURE_STEP

if TYPE_CHECKING:
    from transformers import HubertModel

_QUIET = 1e-7  # added to the variance of a piece, as the network was trained
_UNUSED = {"masked_spec_embed"}  # only training needs it


class HubertSpeech(nn.Module):
    """HuBERT as a `SpeechNetwork`: one vector per step, the last layer's."""

    layers = 1
    piece = None  # its positions are relative

    def __init__(self, model: HubertModel, normalise: bool = True) -> None:
        """`normalise`: the network expects sound of zero mean and unit variance."""
        super().__init__()
        self.model = model.train(False)
        self.normalise = normalise
        self.width = int(model.config.hidden_size)
        reach = step = 1  # samples in the receptive field of one step, and to the next step
        for kernel, stride in zip(model.config.conv_kernel, model.config.conv_stride, strict=True):
            reach += (kernel - 1) * step
            step *= stride
        if step != FEATURE_STEP:
            raise CheckpointError(
                f"This HuBERT makes a step every {step} samples, but MuseTalk needs one every "
                f"{FEATURE_STEP}: choose another checkpoint."
            )
        self._margin = (reach - step) // 2, reach - step - (reach - step) // 2

    @classmethod
    def load(cls, folder: Path) -> HubertSpeech:
        """Read `config.json` and the weights from `folder`; nothing is fetched."""
        try:
            from transformers import HubertModel
        except ImportError as error:
            raise MissingError(
                f"HuBERT needs the package transformers; run `{install_command('hubert')}`."
            ) from error
        if not (folder / "config.json").is_file():
            raise MissingError(f"{folder} has no config.json; put the files of HuBERT there.")
        try:
            found: Any = HubertModel.from_pretrained(
                folder, local_files_only=True, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise CheckpointError(f"{folder} cannot be read as HuBERT: {reason}") from error
        model, report = found
        if lacking := sorted(set(report["missing_keys"]) - _UNUSED):
            raise CheckpointError(
                f"The weights in {folder} lack {lacking[0]}; they are of no HuBERT."
            )
        return cls(model, _normalises(folder))

    def forward(self, samples: Tensor) -> Tensor:
        """(b, n) at 16 kHz -> (b, floor(n / 320), 1, width).

        Zeros around the sound put each step in the middle of its receptive field.
        """
        if self.normalise:
            centred = samples - samples.mean(dim=1, keepdim=True)
            spread = samples.var(dim=1, keepdim=True, correction=0) + _QUIET
            samples = centred / spread.sqrt()
        samples = F.pad(samples, self._margin).to(next(self.model.parameters()).dtype)
        return self.model(samples).last_hidden_state[:, :, None]

    def features(self, excerpts: Sequence[Excerpt], last: int | None = None) -> list[Floats]:
        """See `SpeechNetwork`. Only excerpts of equal length are computed together.

        The network's first norm runs over time, so padding would change the result.
        """
        samples = [excerpt.samples for excerpt in excerpts]
        found: dict[int, Floats] = {}
        for length in {len(piece) for piece in samples}:
            places = [place for place, piece in enumerate(samples) if len(piece) == length]
            together = self._batch(np.stack([samples[place] for place in places]))
            found.update(zip(places, together, strict=True))
        return [found[place][-last if last else 0 :] for place in range(len(samples))]

    @torch.inference_mode()
    def _batch(self, samples: Floats) -> Floats:
        """(b, n) -> (b, floor(n / 320), 1, width)"""
        if samples.shape[1] < FEATURE_STEP:
            return np.zeros((len(samples), 0, self.layers, self.width), np.float32)
        device = next(self.model.parameters()).device
        return self(torch.from_numpy(samples).to(device)).float().cpu().numpy()


def _normalises(folder: Path) -> bool:
    """The `do_normalize` of the checkpoint; most were trained on normalised sound."""
    path = folder / "preprocessor_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise CheckpointError(f"{path} is no valid JSON; fetch it again.") from error
    return bool(config.get("do_normalize", True))
