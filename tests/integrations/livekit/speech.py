"""Speech for agents, and how much of it came out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from tests.integrations.livekit.room import Heard

RATE = 24_000
LOUD = 1_000.0  # mean of the absolute samples; the tone has 5000
PACKET_S = 0.02


def tone(seconds: float, rate: int = RATE) -> NDArray[np.int16]:
    """A tone of 300 Hz."""
    times = np.arange(round(seconds * rate)) / rate
    return np.round(8_000 * np.sin(2 * np.pi * 300 * times)).astype(np.int16)


def audio_frames(
    samples: NDArray[np.int16], rate: int = RATE, ms: int = 50
) -> Iterator[rtc.AudioFrame]:
    """`samples` in frames of so many milliseconds."""
    step = rate * ms // 1000
    for start in range(0, len(samples), step):
        part = samples[start : start + step]
        yield rtc.AudioFrame(part.tobytes(), rate, 1, len(part))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sound without a hole."""

    begin: float  # when its first packet came, time.monotonic()
    end: float  # the same of its last one
    seconds: float


def stretches(heard: Sequence[Heard]) -> list[Stretch]:
    """The sound that was heard, cut wherever a packet is silent or missing."""
    found: list[list[Heard]] = []
    for one in heard:
        if one.loudness < LOUD:
            continue
        if found and one.rtp_s - found[-1][-1].rtp_s < 1.5 * PACKET_S:
            found[-1].append(one)
        else:
            found.append([one])
    return [Stretch(run[0].at, run[-1].at, PACKET_S * len(run)) for run in found]
