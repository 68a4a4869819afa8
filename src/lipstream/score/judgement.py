"""The score of a talking video: its curves in, figures and a verdict out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lipstream.score.curves import (
    AROUND,
    SETTLED,
    Count,
    Curve,
    Scale,
    Track,
    centres,
    correlation,
    offset,
)
from lipstream.score.mouth import MouthTrack
from lipstream.score.sound import Spoken

MAX_LAG = 0.400  # seconds to either side in which the offset is sought
# Viewers accept sound that is 40 ms early to 60 ms late (EBU R 37): lips so late and so early.
MAX_LATE_MS, MAX_EARLY_MS = 40, 60
MIN_RANGE = 0.012  # eye distances: less is the tracker's noise on a mouth that stands still
MIN_CORRELATION = 0.25  # at the best offset, however long the video is
# One of fifty mouths that say something else reaches so much over the root of the seconds.
CHANCE_CORRELATION = 0.95
MIN_CONFIDENCE = 0.20  # by which it stands above what the same mouth reaches at wrong times
FAR = 0.800  # seconds by which the sound is displaced, and more, for those wrong times
CHANCE = 95  # percentile of the correlations at wrong times
MIN_SHARPNESS = 1e-3  # of a mouth to compare with: one of a single colour has none
DRIFT = 1.5  # seconds over which the usual opening of the mouth is taken


@dataclass(frozen=True, slots=True)
class Likeness:
    """The differences to a reference: the same face before its mouth was drawn anew."""

    colour: float  # of the mouth's mean RGB, Euclidean, 0..255 a channel
    sharpness: float  # of the mouth, over that of the reference's mouth
    correlation: float  # of the openings of both mouths


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of a video; NaN for what cannot be said of it. `docs/score.md` explains each."""

    verdict: str
    follows: bool  # the mouth follows this sound, at whatever offset
    offset_ms: float  # positive: the lips are late
    correlation: float  # of the opening with the gap that the sound asks for, at that offset
    confidence: float  # the correlation less the one that chance reaches
    energy_correlation: float  # of the opening with the loudness, at its own best offset
    energy_offset_ms: float
    closures: Count  # of the sound's, those that are seen at that offset
    range: float  # of the opening, eye distances
    silence_opening: float  # mean in pauses, 0 closed to 1 wide open
    silence_motion: float  # standard deviation in pauses over the range
    sharpness: float  # of the mouth over that of eyes and nose
    tint: float  # CIELAB a*b* distance of the skin at the mouth from the cheeks
    seconds: float
    frames: int
    frames_with_face: int
    reference: Likeness | None


def judge(mouth: MouthTrack, spoken: Spoken, start: float = 0.0) -> Score:
    """Score a mouth by the sound, whose first sample is heard `start` seconds after frame 0."""
    fps, openings = float(mouth.fps), mouth.filled()
    scale, times = Scale.of(openings), centres(len(openings), fps)
    gap, loudness = spoken.track(spoken.gap, start), spoken.track(spoken.loudness, start)
    lively = levelled(openings, fps)
    seconds, peak = offset(lively, gap, fps, MAX_LAG)
    by_energy, energy_peak = offset(lively, loudness, fps, MAX_LAG)
    confidence = peak - chance(lively, gap, fps)
    needed = needed_correlation(len(openings) / fps)
    follows = scale.range >= MIN_RANGE and peak >= needed and confidence >= MIN_CONFIDENCE
    resting = openings[_pauses(times - start, spoken)]
    return Score(
        verdict=verdict(follows, 1000 * seconds),
        follows=follows,
        offset_ms=1000 * seconds,
        correlation=peak,
        confidence=confidence,
        energy_correlation=energy_peak,
        energy_offset_ms=1000 * by_energy,
        closures=_closures(scale.closed(openings), times - start - seconds, spoken),
        range=scale.range,
        silence_opening=float(scale.relative(resting).mean()) if len(resting) else math.nan,
        silence_motion=float(scale.relative(resting).std()) if len(resting) else math.nan,
        sharpness=_median(mouth.sharpness),
        tint=_median(mouth.tint),
        seconds=len(openings) / fps,
        frames=len(openings),
        frames_with_face=mouth.seen,
        reference=None,
    )


def liken(mouth: MouthTrack, reference: MouthTrack) -> Likeness:
    """Compare a mouth with the same face's in a reference, frame by frame."""
    count = min(len(mouth.openings), len(reference.openings))
    colours = min(len(mouth.colours), len(reference.colours))
    difference = mouth.colours[:colours] - reference.colours[:colours]
    return Likeness(
        colour=float(np.linalg.norm(difference.mean(axis=0))) if colours else math.nan,
        sharpness=_median(mouth.sharpness) / max(_median(reference.sharpness), MIN_SHARPNESS),
        correlation=correlation(mouth.filled()[:count], reference.filled()[:count]),
    )


def verdict(follows: bool, offset_ms: float) -> str:
    """The outcome in words."""
    if not follows:
        return "the mouth does not follow this sound"
    if -MAX_EARLY_MS <= offset_ms <= MAX_LATE_MS:
        return "in sync"
    side = "late" if offset_ms > 0 else "early"
    return f"out of sync by {abs(offset_ms):.0f} ms: the lips are {side}"


def needed_correlation(seconds: float) -> float:
    """The least correlation at which a mouth of so many seconds counts as following.

    0.48 for 4 s, 0.30 for 10 s: a short sentence is like many others.
    """
    return max(MIN_CORRELATION, CHANCE_CORRELATION / math.sqrt(seconds))


def levelled(openings: Curve, fps: float) -> Curve:
    """The openings without the slow drift of a face that turns, smiles or comes nearer."""
    reach = round(DRIFT * fps)
    padded = np.pad(openings, reach, mode="reflect" if len(openings) > reach else "edge")
    window = np.hanning(2 * reach + 3)[1:-1]
    return np.asarray(openings - np.convolve(padded, window / window.sum(), "valid"))


def chance(openings: Curve, target: Track, fps: float) -> float:
    """The correlation that the same mouth and the same sound reach at wrong times.

    The sound is displaced in a circle by `FAR` seconds and more; nineteen of twenty such
    displacements stay below the result.
    """
    expected = target.at(centres(len(openings), fps))
    far = round(FAR * fps)
    found = [
        correlation(openings, np.roll(expected, shift)) for shift in range(far, len(expected) - far)
    ]
    return float(np.percentile(found, CHANCE)) if found else 0.0


def _closures(closed: np.ndarray, times: Curve, spoken: Spoken) -> Count:
    """Of the sound's closures those at which lips are seen to meet, `times` being the sound's."""
    wanted = [moment for moment in spoken.closures() if times[0] <= moment <= times[-1]]
    seen = [bool(closed[np.abs(times - moment) <= AROUND].any()) for moment in wanted]
    return Count(sum(seen), len(seen))


def _pauses(times: Curve, spoken: Spoken) -> np.ndarray:
    """The frames within pauses of the sound, their edges left out."""
    silent = np.zeros(len(times), np.bool_)
    for first, stop in spoken.pauses():
        silent |= (times >= first + SETTLED) & (times <= stop - SETTLED)
    return silent


def _median(values: Curve) -> float:
    return float(np.median(values)) if len(values) else math.nan
