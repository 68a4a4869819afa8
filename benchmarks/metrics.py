"""Figures of a talking mouth against the phonemes that were said; times in seconds.

What needs no phonemes is in `lipstream.score`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face import landmarks as lm
from lipstream.score.curves import Count, Curve, Scale, at_rest, centres, shut_at
from training.phonemes import Kind, Segment, gestures

if TYPE_CHECKING:
    from lipstream.media.image import Floats

BLINK_BELOW = 0.87  # of the usual opening of the eyes; the mesh reads closed ones as 0.8


def closures(
    openings: Curve, scale: Scale, segments: Sequence[Segment], fps: float = 25.0
) -> Count:
    """Of the sounds made by meeting lips, those at which the lips are seen to meet."""
    times = centres(len(openings), fps)
    wanted = [
        (one.start, one.end)
        for one in gestures(segments)
        if one.kind is Kind.BILABIAL and one.start < times[-1]
    ]
    return shut_at(scale.closed(openings), times, wanted)


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
    spoken = sorted((one.start, one.end) for one in segments if one.phone)
    starts, ends = [start for start, _ in spoken], [end for _, end in spoken]
    silence = zip([-np.inf, *ends], [*starts, np.inf], strict=True)
    return at_rest(centres(frames, fps), list(silence))


def eye_opening(points: Floats) -> float:
    """Height over width of the eyes, mean of both."""
    ratios = []
    for upper, lower in lm.EYES:
        heights = [points[upper[i], :2] - points[lower[i], :2] for i in (3, 4, 5)]
        width = np.linalg.norm(points[upper[0], :2] - points[upper[-1], :2])
        ratios.append(float(np.mean([np.linalg.norm(height) for height in heights]) / width))
    return sum(ratios) / len(ratios)


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
