"""From speech to finished frames, as the live path makes them for many sessions at once."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.gpu.renderer_stub import RendererStub
from lipstream.bench.speech_signal import speech
from lipstream.rendering.base import FrameRequest, PendingPictures
from lipstream.speech.musetalk.backbone import Excerpt
from lipstream.speech.musetalk.windowing import windows
from lipstream.timeline import FPS, SAMPLE_RATE, UNIT_MS

STEP = 2  # frames that a live session encodes at a time
EXCERPT_S = 5  # of sound that it encodes them in


@dataclass(frozen=True, slots=True)
class LiveLoop:
    """Batches of `batch` frames, of half as many sessions; the next is begun before one is done."""

    renderer: RendererStub
    batch: int

    def run(self, frames: int) -> tuple[int, float]:
        """Make at least `frames` in whole batches: their number, and the milliseconds they took."""
        sessions = max(self.batch // STEP, 1)
        signals = [speech(EXCERPT_S + 1.0, seed=session) for session in range(sessions)]
        network = self.renderer.networks.speech
        pending: PendingPictures | None = None
        made = 0
        began = time.perf_counter()
        while made < frames:
            offset = SAMPLE_RATE * UNIT_MS * (made % 25) // 1000
            length = EXCERPT_S * SAMPLE_RATE
            excerpts = [Excerpt(signal[offset : offset + length]) for signal in signals]
            requests: list[FrameRequest] = []
            for features in network.features(excerpts):
                last = range(EXCERPT_S * int(FPS) - 2 * STEP, EXCERPT_S * int(FPS) - STEP)
                for conditioning in windows(features, 0, last, FPS):
                    index = made + len(requests)
                    requests.append(FrameRequest(self.renderer.avatar, index, conditioning))
            earlier, pending = pending, self.renderer.begin(requests[: self.batch])
            if earlier is not None:
                earlier.finish()
            made += self.batch
        if pending is not None:
            pending.finish()
        return made, 1000 * (time.perf_counter() - began)
