"""Figures of a talking mouth: pure functions of curves, one value per frame of video.

An opening is the gap between the inner lips over the distance of the outer eye corners, as our own
tracker reads it in the finished frames. The tracker reads 0.01 to 0.04 where lips touch, so nothing
here takes an opening as it is: `Scale` sets the closed level and the range of the same face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face import landmarks as lm
from training.phonemes import Kind, Segment, gestures

if TYPE_CHECKING:
    from lipstream.media.image import Floats

Curve = NDArray[np.float64]

CLOSED_BELOW = 0.20  # of the range above the closed level
AROUND = 0.060  # seconds on either side of a phone within which its closure may be seen
SETTLED = 0.100  # seconds from the edges of a pause until the lips must be at rest
MAX_LAG = 0.300  # seconds to either side in the search for an offset
LAG_STEP = 0.010  # seconds
BLINK_BELOW = 0.87  # of the usual opening of the eyes; the mesh reads closed ones as 0.8


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


def opening(points: Floats) -> float:
    """The gap between the lips in eye distances."""
    return lm.mouth_gap(points) / lm.eye_distance(points)


def eye_opening(points: Floats) -> float:
    """Height over width of the eyes, mean of both."""
    ratios = []
    for upper, lower in lm.EYES:
        heights = [points[upper[i], :2] - points[lower[i], :2] for i in (3, 4, 5)]
        width = np.linalg.norm(points[upper[0], :2] - points[upper[-1], :2])
        ratios.append(float(np.mean([np.linalg.norm(height) for height in heights]) / width))
    return sum(ratios) / len(ratios)


def correlation(one: Curve, other: Curve) -> float:
    """Pearson's; 0 where either curve is flat."""
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-12 else 0.0


def offset(openings: Curve, target: Track, fps: float = 25.0) -> tuple[float, float]:
    """(seconds, peak): the delay of the openings against `target`, and the correlation there.

    Positive is late. The target is shifted in steps finer than a frame; a parabola through the
    best step and its neighbours gives the rest. (0, 0) where nothing moves alike.
    """
    times = centres(len(openings), fps)
    steps = round(MAX_LAG / LAG_STEP)
    lags = np.arange(-steps, steps + 1) * LAG_STEP
    found = np.array([correlation(openings, target.at(times - lag)) for lag in lags])
    best = int(found.argmax())
    if found[best] <= 0:
        return 0.0, 0.0
    if not 0 < best < len(lags) - 1:
        return float(lags[best]), float(found[best])
    before, peak, after = found[best - 1 : best + 2]
    bend = before - 2 * peak + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(lags[best] + shift * LAG_STEP), float(peak - 0.25 * (before - after) * shift)


def closures(
    openings: Curve, scale: Scale, segments: Sequence[Segment], fps: float = 25.0
) -> Count:
    """Of the sounds made by meeting lips, those at which the lips are seen to meet."""
    closed, times = scale.closed(openings), centres(len(openings), fps)
    seen = [
        bool(closed[(times >= g.start - AROUND) & (times <= g.end + AROUND)].any())
        for g in gestures(segments)
        if g.kind is Kind.BILABIAL and g.start < times[-1]
    ]
    return Count(sum(seen), len(seen))


def shut_vowels(
    openings: Curve, scale: Scale, segments: Sequence[Segment], fps: float = 25.0
) -> Count:
    """Of the vowels, those whose middle frame shows closed lips."""
    closed = scale.closed(openings)
    seen = []
    for gesture in gestures(segments):
        middle = int((gesture.start + gesture.end) / 2 * fps)
        if gesture.kind is Kind.VOWEL and middle < len(openings):
            seen.append(bool(closed[middle]))
    return Count(sum(seen), len(seen))


def pauses(frames: int, segments: Sequence[Segment], fps: float = 25.0) -> NDArray[np.bool_]:
    """Frames in the silence between sounds, its edges left out; outside all segments is silence."""
    times, silent = centres(frames, fps), np.ones(frames, np.bool_)
    for segment in segments:
        if segment.phone:
            near = (times > segment.start - SETTLED) & (times < segment.end + SETTLED)
            silent &= ~near
    return silent


def jerk(openings: Curve, scale: Scale) -> float:
    """Mean second difference over the range: how hastily the mouth moves."""
    return float(np.abs(np.diff(openings, 2)).mean() / scale.range) if scale.range > 0 else 0.0


def jitter(points: Floats) -> float:
    """Mean second difference of (frames, n, 2) points in the unit they come in."""
    return float(np.linalg.norm(np.diff(points.astype(np.float64), 2, axis=0), axis=-1).mean())


def blinks(eyes: Curve) -> int:
    """The number of blinks: falls of the eye opening below a share of its median."""
    closed = eyes < BLINK_BELOW * np.median(eyes)
    return int((closed[1:] & ~closed[:-1]).sum() + closed[0])
