"""The baseline: speech to frames the way MuseTalk's published live script goes, plainly written.

One session with its own batches. The speech of a batch is padded to 30 s and encoded, the networks
paint in half precision with the modules as published, pictures are rounded on the processor, and a
thread puts each face back through Pillow while the next batch is painted.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from lipstream.avatar.avatar import Avatar
from lipstream.bench.device_timing import fps_limit
from lipstream.bench.published_compositing import compose_as_published
from lipstream.bench.speech_signal import speech
from lipstream.config import MuseTalkConfig
from lipstream.media.image import Floats, Image
from lipstream.rendering.musetalk.models.unet import add_positions
from lipstream.rendering.musetalk.optimizations.cuda_graphs import cudnn_autotune
from lipstream.rendering.musetalk.optimizations.mkldnn_pack import gains_from_bfloat16
from lipstream.rendering.musetalk.preprocess.prepare import NAME, PreparedFaces
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks, load_checkpoint
from lipstream.speech.musetalk.backbone import Excerpt
from lipstream.speech.musetalk.windowing import windows
from lipstream.timeline import FPS, SAMPLE_RATE, frame_start
from lipstream.weights.manifest import models_folder

if TYPE_CHECKING:
    from lipstream.bench.throughput import Loop  # not at run time: it imports PyAV

QUEUED = 50  # frames between the networks and the compositing thread, as published


class PublishedLoop:
    """Frames the way the published live script makes them. Every frame of `faces` has a face."""

    def __init__(
        self, networks: MuseTalkNetworks, avatar: Avatar, faces: PreparedFaces, batch: int
    ) -> None:
        self.networks, self.batch = networks, batch
        found = [index for index, plan in enumerate(faces.plans) if plan is not None]
        self._plans = [plan for plan in faces.plans if plan is not None]
        self._pictures = [avatar.frames[index].pixels for index in found]
        latents = torch.from_numpy(faces.latents[found])
        self.latents = latents.to(networks.device, networks.dtype)
        self._speech = speech(30.0)

    def run(self, frames: int) -> tuple[int, float]:
        """Make at least `frames` in whole batches: their number, and the milliseconds they took."""
        faces: queue.Queue[tuple[int, Image] | None] = queue.Queue(QUEUED)
        thread = threading.Thread(target=self._compose, args=(faces,), daemon=True)
        began = time.perf_counter()
        thread.start()
        made = 0
        with cudnn_autotune():
            while made < frames:
                rows = [(made + n) % len(self._plans) for n in range(self.batch)]
                for row, face in zip(rows, self.paint(rows, self.encode(made)), strict=True):
                    faces.put((row, face))
                made += self.batch
        faces.put(None)
        thread.join()
        return made, 1000 * (time.perf_counter() - began)

    def encode(self, first: int) -> Floats:
        """(batch, tokens, width): the features of the frames from `first` on, from their sound."""
        length = frame_start(self.batch)
        begin = first * length // self.batch % (len(self._speech) - length)
        samples = self._speech[begin : begin + length + SAMPLE_RATE // 5]
        (features,) = self.networks.speech.features([Excerpt(samples)])
        return windows(features, 0, range(self.batch), FPS)

    @torch.inference_mode()
    def paint(self, rows: Sequence[int], audio: Floats) -> list[Image]:
        """The faces of some frames, (side, side, 3) RGB each, rounded on the processor."""
        networks, vae = self.networks, self.networks.vae
        tokens = torch.from_numpy(audio).to(networks.device, networks.dtype)
        painted = networks.unet(self.latents[list(rows)], add_positions(tokens))
        raw = vae.decode(painted / vae.dimensions.scaling)
        unit = (raw / 2 + 0.5).clamp(0, 1)
        # numpy has no bfloat16, which only a processor uses here.
        values = unit.cpu().permute(0, 2, 3, 1).float().numpy()
        return list(np.asarray((values * 255).round().astype(np.uint8)))

    def _compose(self, faces: queue.Queue[tuple[int, Image] | None]) -> None:
        while (item := faces.get()) is not None:
            row, face = item
            compose_as_published(self._pictures[row], face, self._plans[row])


def published_loops(
    config: MuseTalkConfig, avatar: Avatar, batches: Sequence[int]
) -> tuple[dict[str, Loop], float]:
    """A loop for each size of batch, and the frames per second of the device's limit.

    The published weights are loaded once more with nothing changed: in half precision, but in
    float32 on a CPU that has no units for bfloat16.
    """
    device = torch.device(config.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    on_cpu = torch.bfloat16 if gains_from_bfloat16() else torch.float32
    precision = torch.float16 if device.type == "cuda" else on_cpu
    networks = load_checkpoint(models_folder(config.models), config.version, device, precision)
    faces = PreparedFaces.from_arrays(avatar.extras[NAME])
    loops = [PublishedLoop(networks, avatar, faces, batch) for batch in batches]
    audio = torch.from_numpy(loops[0].encode(0)).to(device, precision)
    limit = fps_limit(networks, loops[0].latents, audio)
    return {f"published loop, batch {loop.batch}": loop.run for loop in loops}, limit
