"""A video and its sound in, LSE-C and LSE-D out; memory holds a second of pictures."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lipstream.errors import MissingError, PictureError
from lipstream.installation import install_command
from lipstream.score.syncnet.distances import FPS, MAX_SHIFT, WINDOW, Agreement, by_offset
from lipstream.score.syncnet.mfcc import SAMPLE_RATE, STEPS_HEARD, STEPS_PER_FRAME, mfcc

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

BATCH = 20  # windows
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS


class Network(Protocol):
    """Anything that sees lips and hears sound as points of one space; see `network.SyncNet`."""

    def see(self, faces: Image) -> Floats: ...

    def hear(self, coefficients: Floats) -> Floats: ...


def open_network(path: Path) -> Network:
    """The network of a file. MissingError without PyTorch, CheckpointError for another file."""
    try:
        from lipstream.score.syncnet.network import load_syncnet
    except ImportError as error:
        raise MissingError(
            f"--syncnet needs PyTorch; run `{install_command('musetalk')}`."
        ) from error
    return load_syncnet(path)


def agreement(network: Network, faces: Iterable[Image], samples: Floats) -> Agreement:
    """Judge faces, 25 a second, by (n,) samples at 16 kHz that begin with the first.

    PictureError where both together last less than the 31 offsets that are compared.
    """
    coefficients = mfcc(samples).astype(np.float32)
    left = len(samples) // SAMPLES_PER_FRAME - WINDOW
    frames = iter(faces)
    waiting = list(islice(frames, WINDOW))  # the last frame is never the end of a window
    lips, sound, first = [], [], 0
    while left > 0 and (new := list(islice(frames, min(BATCH, left)))):
        waiting += new
        lips.append(network.see(np.stack(waiting[:-1])))
        steps = STEPS_PER_FRAME * first
        stop = steps + STEPS_PER_FRAME * (len(new) - 1) + STEPS_HEARD
        sound.append(network.hear(coefficients[steps:stop]))
        waiting = waiting[-WINDOW:]
        first, left = first + len(new), left - len(new)
    if first <= MAX_SHIFT:
        seconds = (MAX_SHIFT + WINDOW + 1) / FPS
        raise PictureError(f"SyncNet needs {seconds:.1f} s of pictures with sound, and more.")
    return Agreement.of(by_offset(np.concatenate(lips), np.concatenate(sound)))
