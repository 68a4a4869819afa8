"""Frames per second from speech to finished pictures, of several ways that take turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.bench.speech_signal import speech
from lipstream.engine import Engine
from lipstream.media.audio import AudioChunk
from lipstream.offline import render_stream
from lipstream.timeline import FPS, SAMPLE_RATE

ROUNDS = 3

Loop: TypeAlias = Callable[[int], tuple[int, float]]  # frames -> those made, and milliseconds


@dataclass(frozen=True, slots=True)
class LoopSpeed:
    """Frames per second of one way; median, worst and best of the rounds."""

    name: str
    fps: float
    worst: float
    best: float
    ratio: float  # times faster the first way is


def measure_loops(
    loops: Mapping[str, Loop], seconds: float, rounds: int = ROUNDS
) -> list[LoopSpeed]:
    """Let every loop run for about `seconds` per round; the order changes, the first warms up."""
    counts = {}
    for name, loop in loops.items():
        made, ms = loop(1)
        counts[name] = max(made, round(1000 * seconds * made / ms))
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(rounds):
        for name in list(loops) if turn % 2 == 0 else reversed(list(loops)):
            made, ms = loops[name](counts[name])
            rates[name].append(1000 * made / ms)
    first = median(next(iter(rates.values())))
    return [
        LoopSpeed(name, median(found), min(found), max(found), first / median(found))
        for name, found in rates.items()
    ]


def engine_loop(engine: Engine, avatar: Avatar) -> Loop:
    """The product's own path, as `lipstream render` takes it, without the file."""

    def run(frames: int) -> tuple[int, float]:
        began = time.perf_counter()
        made = sum(1 for _ in render_stream(engine, avatar, _chunks(frames / float(FPS))))
        return made, 1000 * (time.perf_counter() - began)

    return run


def cpu_ms_per_frame(loop: Loop, frames: int) -> float:
    """The processor time of one frame of a loop that runs in this process alone."""
    loop(1)
    began = time.process_time()
    made, _ = loop(frames)
    return 1000 * (time.process_time() - began) / made


def _chunks(seconds: float) -> Iterator[AudioChunk]:
    signal = speech(seconds)
    for start in range(0, len(signal), SAMPLE_RATE):
        yield AudioChunk(signal[start : start + SAMPLE_RATE, np.newaxis], SAMPLE_RATE)
