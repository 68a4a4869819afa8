"""What was measured in one run, and what it must come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NEAR = 500.0  # ms within which a sound and a picture can belong together


@dataclass(frozen=True, slots=True)
class Check:
    """A figure and its bounds."""

    name: str
    value: float
    least: float = -np.inf
    most: float = np.inf

    @property
    def passed(self) -> bool:
        return bool(self.least <= self.value <= self.most)

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.1f} (bounds {self.least:g} to {self.most:g})"


def percentile(values: Sequence[float], share: float) -> float:
    """NaN, which passes no check, where nothing was measured."""
    return float(np.percentile(values, share)) if values else float("nan")


def offsets(pictures: Sequence[float], sounds: Sequence[float]) -> list[float]:
    """Each picture's time minus that of the sound next to it."""
    pairs = [
        (time, min(sounds, key=lambda sound: abs(sound - time))) for time in pictures if sounds
    ]
    return [picture - sound for picture, sound in pairs if abs(picture - sound) < NEAR]


def delays(causes: Sequence[float], effects: Sequence[float], most: float) -> list[float]:
    """From each cause to the first effect within `most` ms after it; those without are left out."""
    found = []
    for cause in causes:
        after = [effect - cause for effect in effects if 0 < effect - cause < most]
        if after:
            found.append(min(after))
    return found
