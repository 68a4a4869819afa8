"""The figures of one rendering, their means, and the gates they must pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks import metrics
from benchmarks.clips import Clip
from benchmarks.cpu.fidelity import Fidelity
from benchmarks.cpu.tracked_render import TrackedRender
from lipstream.score import curves
from lipstream.score.curves import Count, Curve, Scale
from lipstream.speech.articulation.lip_gap import lip_gap


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one clip on one portrait; openings in eye distances, times in ms."""

    portrait: str
    clip: str
    human: bool
    corr: float  # of the opening with the phoneme target, at lag 0
    offset: float  # ms; positive is late
    peak: float  # correlation at that offset
    closures: Count
    shut_vowels: Count
    level: float
    range: float
    silence: float  # mean opening in pauses over the range; nan without pauses
    silence_std: float  # eye distances
    encoder: float  # correlation of the gap that the encoder requests with the target
    driving: float  # correlation of the opening with the gap that the renderer was asked for
    jitter: float  # of points that speech does not move, eye distances
    jerk: float
    lost: int  # frames without a face


@dataclass(frozen=True, slots=True)
class Shut:
    """The figures of a sound that is no speech on one portrait; openings over its range in speech.

    They are counted from the portrait's rest, where the lips touch. Rest reads a little above the
    closed level of speech, at which lips are pressed together.
    """

    portrait: str
    sound: str
    mean: float
    top: float  # 95th percentile


@dataclass(frozen=True, slots=True)
class Check:
    """A figure and its gate."""

    name: str
    value: float
    limit: float
    least: bool  # the limit is the least that passes, else the most

    @property
    def passed(self) -> bool:
        if math.isnan(self.value):
            return False
        return self.value >= self.limit if self.least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.least else "<="
        verdict = "ok" if self.passed else "FAILED"
        return f"{self.name:<36} {self.value:8.3f}  {sign} {self.limit:<6g} {verdict}"


def score(portrait: str, clip: Clip, seen: TrackedRender) -> Score:
    """Judge the rendering against the phonemes of `clip`."""
    openings, scale, target = seen.openings, Scale.of(seen.openings), clip.target()
    expected = target.at(curves.centres(len(openings)))
    seconds, peak = curves.offset(openings, target)
    requested = lip_gap(seen.poses).astype(np.float64)
    resting = openings[metrics.pauses(len(openings), clip.segments)]
    return Score(
        portrait,
        clip.name,
        clip.human,
        corr=curves.correlation(openings, expected),
        offset=1000 * seconds,
        peak=peak,
        closures=metrics.closures(openings, scale, clip.segments),
        shut_vowels=metrics.shut_vowels(openings, scale, clip.segments),
        level=scale.level,
        range=scale.range,
        silence=float(scale.relative(resting).mean()) if len(resting) else math.nan,
        silence_std=float(resting.std()) if len(resting) else math.nan,
        encoder=curves.correlation(requested, expected),
        driving=curves.correlation(openings, requested),
        jitter=metrics.jitter(seen.rigid),
        jerk=metrics.jerk(openings, scale),
        lost=seen.lost,
    )


def shut(portrait: str, sound: str, openings: Curve, rest: float, speech: Scale) -> Shut:
    """Judge the openings at a sound by the portrait's own `rest` and its range in speech."""
    relative = Scale(rest, speech.range).relative(openings)
    return Shut(portrait, sound, float(relative.mean()), float(np.percentile(relative, 95)))


def lip_checks(scores: Sequence[Score]) -> list[Check]:
    """The gates of speech. Kinds of clips that were not at hand are not checked."""
    human = [score.corr for score in scores if score.human]
    synthesised = [score.corr for score in scores if not score.human]
    worst = max(scores, key=lambda score: abs(score.offset))
    found = []
    if human:
        found.append(Check("correlation, human clips", _mean(human), 0.62, True))
    if synthesised:
        found.append(Check("correlation, synthesised clips", _mean(synthesised), 0.80, True))
    return [
        *found,
        Check(f"worst offset, ms ({worst.clip})", abs(worst.offset), 40, False),
        Check("closures seen", total(score.closures for score in scores).share, 0.90, True),
        Check("vowels shut", total(score.shut_vowels for score in scores).share, 0.35, False),
        Check("range of the lips, eye distances", _mean([s.range for s in scores]), 0.06, True),
    ]


def shut_checks(rests: Sequence[float], shuts: Sequence[Shut]) -> list[Check]:
    """The gates of silence and noise: the worst portrait counts.

    `rests` are the readings at rest on the scale of speech, where pressed lips are 0.
    """
    sounds = dict.fromkeys(entry.sound for entry in shuts)
    at_rest = Check("rest above the closed level", max(rests), 0.30, False)
    return [at_rest] + [
        Check(f"open at {sound}", max(s.mean for s in shuts if s.sound == sound), 0.05, False)
        for sound in sounds
    ]


def picture_checks(portraits: dict[str, Fidelity], blinks: float) -> list[Check]:
    """The gates of the picture: the worst portrait counts. `blinks` are per minute."""
    found = list(portraits.values())
    return [
        Check("PSNR outside mouth and jaw, dB", min(f.psnr for f in found), 40, True),
        Check("gradient at the redrawn border", max(f.border for f in found), 1.1, False),
        Check("sharpness of the mouth", min(f.sharpness for f in found), 0.6, True),
        Check("blinks per minute, least", blinks, 8, True),
        Check("blinks per minute, most", blinks, 30, False),
    ]


def total(counts: Iterable[Count]) -> Count:
    """The sum of counts."""
    return sum(counts, Count(0, 0))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
