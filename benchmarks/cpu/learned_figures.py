"""The figures of the learned MuseTalk, and the gates they must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import metrics
from benchmarks.clips import Clip
from benchmarks.cpu.learned_runs import Spoken
from benchmarks.cpu.scores import Check, total
from lipstream.avatar.avatar import Avatar
from lipstream.score import curves
from lipstream.score.colour import lip_colour
from lipstream.score.curves import Count, Curve, Scale

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

CONTROLS = ("late 120 ms", "wrong sound", "shuffled tokens")  # each must fail a gate of speech
HEAD = (
    f"{'':<30}{'corr':>6}{'offset':>8}{'closures':>10}{'range':>7}{'colour':>8}{'alike':>7}"
    f"{'live':>6}{'puppet':>8}{'range':>7}"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """One clip on one portrait; openings in eye distances."""

    portrait: str
    clip: str
    human: bool
    corr: float  # of the opening with the phoneme target, at lag 0
    offset: float  # ms at which they agree best; positive is late
    closures: Count
    range: float
    colour: float  # of the mouth's box, closed: mean difference to the portrait's, worst channel
    alike: float  # correlation of the opening with the puppet's
    live: float  # correlation of the opening with that of a live run
    puppet_corr: float
    puppet_range: float

    def __str__(self) -> str:
        seen = f"{self.closures.hits}/{self.closures.total}"
        return (
            f"{self.portrait + ' ' + self.clip:<30}{self.corr:6.2f}{self.offset:8.0f}{seen:>10}"
            f"{self.range:7.3f}{self.colour:8.1f}{self.alike:7.2f}{self.live:6.2f}"
            f"{self.puppet_corr:8.2f}{self.puppet_range:7.3f}"
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one run measured."""

    figures: list[Figures]
    controls: dict[str, list[Figures]]
    silence: float  # standard deviation of the opening while nothing is said, worst portrait

    @property
    def checks(self) -> list[Check]:
        return [
            *_speech(self.figures),
            Check("live and offline alike, least", min(f.live for f in self.figures), 0.95, True),
            Check("colour of the mouth, of 255", max(f.colour for f in self.figures), 6, False),
            Check("silence, standard deviation", self.silence, 0.004, False),
        ]

    def failed_by(self, control: str) -> list[str]:
        """Names of the gates of speech that a control does not pass."""
        return [check.name for check in _speech(self.controls[control]) if not check.passed]

    @property
    def passed(self) -> bool:
        """All gates hold, and each control fails one."""
        return all(check.passed for check in self.checks) and all(map(self.failed_by, CONTROLS))


def judge(
    portrait: str, clip: Clip, avatar: Avatar, ours: Spoken, live: Spoken, puppet: Spoken
) -> Figures:
    """Compare what was seen with the phonemes of `clip`, and with each other."""
    seen, target = ours.openings, clip.target()
    times, scale = curves.centres(len(seen)), Scale.of(seen)
    return Figures(
        portrait,
        clip.name,
        clip.human,
        corr=curves.correlation(seen, target.at(times)),
        offset=1000 * curves.offset(seen, target)[0],
        closures=metrics.closures(seen, scale, clip.segments),
        range=scale.range,
        colour=_colour(avatar, ours, scale),
        alike=curves.correlation(seen, puppet.openings),
        live=curves.correlation(seen, live.openings),
        puppet_corr=curves.correlation(puppet.openings, target.at(times)),
        puppet_range=Scale.of(puppet.openings).range,
    )


def text(outcome: Outcome) -> str:
    """The outcome as a table."""
    lines = [HEAD, *map(str, outcome.figures)]
    for name, figures in outcome.controls.items():
        failed = ", ".join(outcome.failed_by(name)) or "NOTHING"
        lines += ["", f"control {name}: fails {failed}", *map(str, figures)]
    return "\n".join([*lines, "", *map(str, outcome.checks)])


def _speech(figures: Sequence[Figures]) -> list[Check]:
    human = [f.corr for f in figures if f.human]
    everyone = [f.corr for f in figures]
    offsets: Curve = np.array([f.offset for f in figures])
    seen = total(f.closures for f in figures)
    found = [Check("correlation, human clips", float(np.mean(human)), 0.45, True)] if human else []
    return [
        *found,
        Check("correlation, all clips", float(np.mean(everyone)), 0.45, True),
        Check("worst offset, ms", float(np.abs(offsets).max()), 40, False),
        Check("closures seen", seen.share, 0.7, True),
    ]


def _colour(avatar: Avatar, ours: Spoken, scale: Scale) -> float:
    """Between the portrait's mouth and the mean of those frames in which it is closed."""
    frame = avatar.frames[0]
    assert frame.landmarks is not None
    shut = np.flatnonzero(scale.closed(ours.openings))
    pictures: list[Image] = [ours.frames[at] for at in shut]
    if not pictures:
        return float("nan")
    seen: Floats = np.mean([lip_colour(one, frame.landmarks) for one in pictures], axis=0)
    return float(np.abs(seen - lip_colour(frame.pixels, frame.landmarks)).max())
