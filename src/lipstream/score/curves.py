"""Figures of a talking mouth: pure functions of curves, one value per frame of video.

An opening is the gap between the inner lips over the distance of the outer eye corners, as our own
tracker reads it in the finished frames. The tracker reads 0.01 to 0.04 where lips touch, so nothing
here takes an opening as it is: `Scale` sets the closed level and the range of the same face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]

CLOSED_BELOW = 0.20  # of the range above the closed level
AROUND = 0.060  # seconds on either side of a sound within which its closure may be seen
SETTLED = 0.100  # seconds from the edges of a pause until the lips must be at rest
MAX_LAG = 0.300  # seconds to either side in the search for an offset
LAG_STEP = 0.010  # seconds
# Mouths and voices move together at the rate of syllables, 2 to 7 Hz (Chandrasekaran et al. 2009,
# "The natural statistics of audiovisual speech").
MIN_SYLLABLE_RATE = 2.0  # Hz


@dataclass(frozen=True, slots=True)
class Scale:
    """The closed level and the range of one face's openings, in eye distances."""

    level: float  # the lips touch: 5th percentile
    range: float  # from there to the 95th percentile

    @staticmethod
    def of(openings: Curve) -> Scale:
        low, high = np.percentile(openings, (5, 95))
        return Scale(float(low), float(high - low))

    def closed(self, openings: Curve) -> NDArray[np.bool_]:
        """True for frames with closed lips."""
        return openings < self.level + CLOSED_BELOW * self.range

    def relative(self, openings: Curve) -> Curve:
        """0 at the closed level, 1 at the top of the range; 0 throughout where nothing moves."""
        return np.asarray((openings - self.level) / self.range) if self.range > 0 else 0 * openings


@dataclass(frozen=True, slots=True)
class Track:
    """A curve with a time axis: (n,) values at `first + k / rate` seconds, held at both ends."""

    values: Curve
    rate: float
    first: float

    def at(self, seconds: Curve) -> Curve:
        times = self.first + np.arange(len(self.values)) / self.rate
        return np.asarray(np.interp(seconds, times, self.values))

    def syllabic(self) -> Track:
        """The track of what moves as fast as syllables."""
        return Track(syllabic(self.values, self.rate), self.rate, self.first)


@dataclass(frozen=True, slots=True)
class Count:
    """So many of so many."""

    hits: int
    total: int

    def __add__(self, other: Count) -> Count:
        return Count(self.hits + other.hits, self.total + other.total)

    @property
    def share(self) -> float:
        return self.hits / self.total if self.total else float("nan")


def centres(frames: int, fps: float = 25.0) -> Curve:
    """Seconds of the middles of `frames` frames."""
    return np.asarray((np.arange(frames) + 0.5) / fps)


def correlation(one: Curve, other: Curve) -> float:
    """Pearson's; 0 where either curve is flat."""
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-12 else 0.0


def syllabic(values: Curve, rate: float) -> Curve:
    """The values, `rate` a second, without what is slower than syllables.

    So a mouth that smiles, turns away or opens for a breath is not taken for one that says nothing.
    A running mean is taken off, under a Hann window as long as the slowest syllable: at
    `MIN_SYLLABLE_RATE` half is left, at twice that all.
    """
    reach = max(round(rate / MIN_SYLLABLE_RATE / 2), 1)
    padded = np.pad(values, reach, mode="reflect" if len(values) > reach else "edge")
    window = np.hanning(2 * reach + 3)[1:-1]
    return np.asarray(values - np.convolve(padded, window / window.sum(), "valid"))


def shut_at(closed: NDArray[np.bool_], times: Curve, spans: Sequence[tuple[float, float]]) -> Count:
    """Of `spans` (seconds from and to which lips should meet), those with a closed frame near."""
    near = [(times >= first - AROUND) & (times <= stop + AROUND) for first, stop in spans]
    return Count(sum(bool(closed[frames].any()) for frames in near), len(near))


def at_rest(times: Curve, pauses: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """The frames within `pauses` (seconds from and to), their edges left out."""
    resting = np.zeros(len(times), np.bool_)
    for first, stop in pauses:
        resting |= (times >= first + SETTLED) & (times <= stop - SETTLED)
    return resting


def correlogram(
    openings: Curve, target: Track, fps: float = 25.0, max_lag: float = MAX_LAG
) -> tuple[Curve, Curve]:
    """(lags in seconds, correlations): of openings with a `target` that is later by each lag."""
    times = centres(len(openings), fps)
    steps = round(max_lag / LAG_STEP)
    lags = np.arange(-steps, steps + 1) * LAG_STEP
    found = [correlation(openings, target.at(times - lag)) for lag in lags]
    return np.asarray(lags, np.float64), np.array(found, np.float64)


def offset(
    openings: Curve, target: Track, fps: float = 25.0, max_lag: float = MAX_LAG
) -> tuple[float, float]:
    """(seconds, peak): the delay of the openings against `target`, and the correlation there.

    Positive is late; `max_lag` seconds are searched to either side. The target is shifted in steps
    finer than a frame; a parabola through the best step and its neighbours gives the rest.
    (0, 0) where nothing moves alike.
    """
    lags, found = correlogram(openings, target, fps, max_lag)
    best = int(found.argmax())
    if found[best] <= 0:
        return 0.0, 0.0
    if not 0 < best < len(lags) - 1:
        return float(lags[best]), float(found[best])
    before, peak, after = found[best - 1 : best + 2]
    bend = before - 2 * peak + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(lags[best] + shift * LAG_STEP), float(peak - 0.25 * (before - after) * shift)
