"""The score of a talking video: its curves in, figures and a verdict out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lipstream.score.chance import Chance
from lipstream.score.curves import (
    Count,
    Curve,
    Scale,
    at_rest,
    centres,
    correlation,
    offset,
    shut_at,
    syllabic,
)
from lipstream.score.mouth import MouthTrack
from lipstream.score.sound import Spoken
from lipstream.score.syncnet.distances import Agreement

MAX_LAG = 0.400  # seconds to either side in which the offset is sought
# Viewers accept sound that is 40 ms early to 60 ms late (EBU R 37): lips so late and so early.
MAX_LATE_MS, MAX_EARLY_MS = 40, 60
MIN_RANGE = 0.012  # eye distances: less is the tracker's noise on a mouth that stands still
MAX_CHANCE = 0.01  # of a mouth that says something else, to pass for one that follows
MIN_SHARPNESS = 1e-3  # of a mouth to compare with: one of a single colour has none


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
    needed_correlation: float  # that one of a hundred mouths reach which say something else
    chance: float  # the probability that such a mouth reaches this correlation
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
    syncnet: Agreement | None


def judge(mouth: MouthTrack, spoken: Spoken, start: float = 0.0) -> Score:
    """Score a mouth by the sound, whose first sample is heard `start` seconds after frame 0."""
    fps, openings = float(mouth.fps), mouth.filled()
    scale, times = Scale.of(openings), centres(len(openings), fps)
    gap = spoken.track(spoken.gap, start).syllabic()
    loudness = spoken.track(spoken.loudness, start).syllabic()
    lively = syllabic(openings, fps)
    seconds, peak = offset(lively, gap, fps, MAX_LAG)
    by_energy, energy_peak = offset(lively, loudness, fps, MAX_LAG)
    unrelated = Chance.of(lively, gap.at(times), fps, 2 * MAX_LAG)
    chance = unrelated.probability(peak)
    follows = scale.range >= MIN_RANGE and chance <= MAX_CHANCE
    resting = openings[at_rest(times - start, spoken.pauses())]
    heard = times - start - seconds
    closures = [one for one in spoken.closures() if heard[0] <= sum(one) / 2 <= heard[-1]]
    return Score(
        verdict=verdict(follows, 1000 * seconds),
        follows=follows,
        offset_ms=1000 * seconds,
        correlation=peak,
        needed_correlation=unrelated.correlation(MAX_CHANCE),
        chance=chance,
        energy_correlation=energy_peak,
        energy_offset_ms=1000 * by_energy,
        closures=shut_at(scale.closed(openings), heard, closures),
        range=scale.range,
        silence_opening=float(scale.relative(resting).mean()) if len(resting) else math.nan,
        silence_motion=float(scale.relative(resting).std()) if len(resting) else math.nan,
        sharpness=_median(mouth.sharpness),
        tint=_median(mouth.tint),
        seconds=len(openings) / fps,
        frames=len(openings),
        frames_with_face=mouth.seen,
        reference=None,
        syncnet=None,
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


def _median(values: Curve) -> float:
    return float(np.median(values)) if len(values) else math.nan
