"""Run Pipecat's own service for Simli in Pipecat's own harness, and print what it pushed as JSON.

    python pipecat_simli.py URL KEY

It runs in an environment of its own, with nothing of this repository.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.services.simli.video import SimliVideoService
from pipecat.tests.utils import SleepFrame, run_test

RATE = 24_000  # Hz; of the voice
LOUD = 300


class Pushed(BaseObserver):
    """What the service pushes, with when: loud seconds of sound, and pictures."""

    def __init__(self, service: SimliVideoService) -> None:
        super().__init__()
        self._service = service
        self.sound: list[tuple[float, float]] = []  # (time, loud seconds)
        self.pictures = 0
        self.interrupted = 0.0

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.source is not self._service:
            return
        if isinstance(data.frame, TTSAudioRawFrame):
            samples = np.abs(np.frombuffer(data.frame.audio, np.int16).astype(np.int32))
            size = data.frame.sample_rate // 200
            blocks = samples[: len(samples) // size * size].reshape(-1, size).mean(axis=1)
            self.sound.append((time.monotonic(), float((blocks > LOUD).sum()) / 200))
        elif isinstance(data.frame, OutputImageRawFrame):
            self.pictures += 1
        elif isinstance(data.frame, InterruptionFrame) and not self.interrupted:
            self.interrupted = time.monotonic()


def speech(seconds: float) -> list[Frame]:
    """Frames of a voice that is faster than real time."""
    turns = 2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE
    pcm = (8000 * np.sin(turns)).astype("<i2").tobytes()
    step = RATE * 2 // 10
    pieces = [pcm[start : start + step] for start in range(0, len(pcm), step)]
    sound = [TTSAudioRawFrame(audio=piece, sample_rate=RATE, num_channels=1) for piece in pieces]
    return [TTSStartedFrame(), *sound, TTSStoppedFrame()]


async def main(url: str, key: str) -> dict[str, Any]:
    service = SimliVideoService(api_key=key, face_id="face", simli_url=url)
    pushed = Pushed(service)
    frames: list[Frame] = [SleepFrame(sleep=1.0), *speech(3.0), SleepFrame(sleep=5.0)]
    frames += [*speech(5.0), SleepFrame(sleep=2.0), InterruptionFrame(), SleepFrame(sleep=1.5)]
    await run_test(service, frames_to_send=frames, observers=[pushed], start_timeout=20.0)
    first = [(at, loud) for at, loud in pushed.sound if loud]
    gap = next(i for i in range(1, len(first)) if first[i][0] - first[i - 1][0] > 1)
    return {
        "heard_s": sum(loud for _, loud in first[:gap]),
        "silent_ms": 1000 * (first[-1][0] - pushed.interrupted),
        "pictures": pushed.pictures,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
