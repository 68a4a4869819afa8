"""Figures of one run and their bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_OFFSET_MS = 500.0  # within which a sound and a picture can belong together


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure and its bounds."""

    name: str
    value: float
    low: float = -np.inf
    high: float = np.inf

    @property
    def passed(self) -> bool:
        return bool(self.low <= self.value <= self.high)

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.1f} (bounds {self.low:g} to {self.high:g})"


def percentile(values: Sequence[float], share: float) -> float:
    """The percentile of `values`; NaN, which is within no bounds, where there are none."""
    return float(np.percentile(values, share)) if values else float("nan")


def offsets(pictures: Sequence[float], sounds: Sequence[float]) -> list[float]:
    """The time of each picture minus that of the sound nearest to it, ms."""
    pairs = [
        (time, min(sounds, key=lambda sound: abs(sound - time))) for time in pictures if sounds
    ]
    return [picture - sound for picture, sound in pairs if abs(picture - sound) < MAX_OFFSET_MS]


def delays(causes: Sequence[float], effects: Sequence[float], limit: float) -> list[float]:
    """The ms from each cause to its first effect, without those that take `limit` or longer."""
    found = []
    for cause in causes:
        after = [effect - cause for effect in effects if 0 < effect - cause < limit]
        if after:
            found.append(min(after))
    return found
