"""The published way from speech to frames, written plainly and honestly fast: what is compared to.

One session, its own batches. The speech of a batch is padded to 30 s and heard, the networks paint
in half precision with the modules as published, the pictures come to the processor in half
precision and are rounded there, and a thread puts each face back while the next batch is painted.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lipstream.bench.compose import compose, compose_as_published, published_is_there
from lipstream.bench.sides import Side
from lipstream.bench.sound import speech
from lipstream.bench.workload import Place, Workload
from lipstream.rendering.musetalk.models.unet import add_positions
from lipstream.speech.musetalk.windowing import windows
from lipstream.timeline import FPS, SAMPLE_RATE, frame_start

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

WAITING = 50  # frames between the networks and the thread that puts faces back, as published

Compose = Callable[["Image", "Image", Place], "Image"]


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds of one run, and how many frames it made."""

    frames: int
    ms: float
    hearing: float
    painting: float  # with the copy to the processor, which waits for the device
    composing: float  # in a thread of its own, at the same time

    @property
    def fps(self) -> float:
        return 1000 * self.frames / self.ms


def run_alone(loop: PublishedLoop, frames: int) -> tuple[int, float]:
    """One session: its frames, and the milliseconds they took."""
    taken = loop.run(frames)
    return taken.frames, taken.ms


def run_together(
    loops: Sequence[PublishedLoop], pool: ThreadPoolExecutor, frames: int
) -> tuple[int, float]:
    """Sessions side by side, a thread for each: all their frames, and the milliseconds it took.

    While one waits for the processor's part another has the device.
    """
    began = time.perf_counter()
    share = -(-frames // len(loops))
    made = sum(taken.frames for taken in pool.map(lambda loop: loop.run(share), loops))
    return made, 1000 * (time.perf_counter() - began)


class PublishedLoop:
    """Frames the way the published live script makes them."""

    def __init__(self, work: Workload, side: Side, batch: int) -> None:
        self.work, self.side, self.batch = work, side, batch
        self.compose: Compose = compose_as_published if published_is_there() else compose
        self._speech = speech(30.0)
        self._hearing = self._painting = self._composing = 0.0

    @property
    def composed_by(self) -> str:
        """What puts faces back here."""
        return "OpenCV and Pillow" if self.compose is compose_as_published else "numpy"

    def run(self, frames: int) -> Taken:
        """Make so many frames, whole batches of them, and wait for the last one."""
        self._hearing = self._painting = self._composing = 0.0
        waiting: queue.Queue[tuple[int, Image] | None] = queue.Queue(WAITING)
        thread = threading.Thread(target=self._put_back, args=(waiting,), daemon=True)
        began = time.perf_counter()
        thread.start()
        made = 0
        while made < frames:
            rows = self.work.batch(made, self.batch)
            start = time.perf_counter()
            audio = self.hear(made)
            heard = time.perf_counter()
            for row, face in zip(rows, self.paint(rows, audio), strict=True):
                waiting.put((row, face))
            self._hearing += heard - start
            self._painting += time.perf_counter() - heard
            made += self.batch
        waiting.put(None)
        thread.join()
        parts = (self._hearing, self._painting, self._composing)
        return Taken(made, 1000 * (time.perf_counter() - began), *(1000 * part for part in parts))

    def hear(self, first: int) -> Floats:
        """(batch, tokens, width): what the frames from `first` on hear, from their own sound."""
        length = frame_start(self.batch)
        begin = first * length // self.batch % (len(self._speech) - length)
        network = self.side.networks.speech
        (features,) = network.features([self._speech[begin : begin + length + SAMPLE_RATE // 5]])
        return windows(features, 0, range(self.batch), FPS)

    @torch.inference_mode()
    def paint(self, rows: Sequence[int], audio: Floats) -> list[Image]:
        """The faces of some frames, (side, side, 3) RGB each."""
        networks = self.side.networks
        latents, _ = self.work.inputs(list(rows), networks.dtype)
        heard = torch.from_numpy(audio).to(networks.device, networks.dtype)
        painted = networks.unet(latents, add_positions(heard))
        return list(self._decode(painted))

    def _decode(self, painted: Tensor) -> Image:
        """Half precision goes over the bus and is rounded by the processor, as published."""
        vae = self.side.networks.vae
        raw = vae.decode(painted / vae.dimensions.scaling)
        unit = (raw / 2 + 0.5).clamp(0, 1)
        # numpy has no bfloat16, which only a processor uses here.
        values = unit.cpu().permute(0, 2, 3, 1).float().numpy()
        return np.asarray((values * 255).round().astype(np.uint8))

    def _put_back(self, waiting: queue.Queue[tuple[int, Image] | None]) -> None:
        while (item := waiting.get()) is not None:
            row, face = item
            began = time.perf_counter()
            self.compose(self.work.pictures[row], face, self.work.places[row])
            self._composing += time.perf_counter() - began
