"""From speech to finished frames, as the live path makes them for many sessions at once."""

from __future__ import annotations

import time
from dataclasses import dataclass

from lipstream.bench.sound import speech
from lipstream.bench.stage import Stage
from lipstream.rendering.base import FrameRequest, PendingPictures
from lipstream.speech.musetalk.windowing import windows
from lipstream.timeline import FPS, SAMPLE_RATE, UNIT_MS

STEP = 2  # frames that a live session hears at a time
HEARD_S = 5  # of sound that it hears them in


@dataclass(frozen=True, slots=True)
class OurLoop:
    """Batches of `batch` frames, of half as many sessions; the next is begun before one is done."""

    stage: Stage
    batch: int

    def run(self, frames: int) -> tuple[int, float]:
        """Make so many frames, whole batches of them: how many, and the milliseconds it took."""
        sessions = max(self.batch // STEP, 1)
        sound = [speech(HEARD_S + 1.0, seed=session) for session in range(sessions)]
        network = self.stage.networks.speech
        pending: PendingPictures | None = None
        made = 0
        began = time.perf_counter()
        while made < frames:
            offset = SAMPLE_RATE * UNIT_MS * (made % 25) // 1000
            pieces = [one[offset : offset + HEARD_S * SAMPLE_RATE] for one in sound]
            requests: list[FrameRequest] = []
            for features in network.features(pieces):
                last = range(HEARD_S * int(FPS) - 2 * STEP, HEARD_S * int(FPS) - STEP)
                for mouth in windows(features, 0, last, FPS):
                    index = made + len(requests)
                    requests.append(FrameRequest(self.stage.avatar, index, mouth))
            earlier, pending = pending, self.stage.begin(requests[: self.batch])
            if earlier is not None:
                earlier.finish()
            made += self.batch
        if pending is not None:
            pending.finish()
        return made, 1000 * (time.perf_counter() - began)
