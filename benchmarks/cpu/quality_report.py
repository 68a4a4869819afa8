"""The outcome of a run as a table to read and as JSON to keep."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from benchmarks.cpu.fidelity import Fidelity
from benchmarks.cpu.scores import (
    Check,
    Score,
    Shut,
    lip_checks,
    picture_checks,
    shut_checks,
    total,
)
from benchmarks.machine import describe

CONTROLS = ("late 120 ms", "wrong audio", "loudness", "still")  # each must fail a gate
HEAD = (
    f"{'':<18}{'corr':>6}{'offset':>8}{'peak':>6}{'closures':>10}{'shut vow.':>10}"
    f"{'range':>7}{'silence':>8}{'std':>7}{'encoder':>8}{'driving':>8}{'jerk':>6}{'jitter':>8}"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one run measured."""

    driver: str  # network or oracle
    scores: list[Score]
    variants: dict[str, list[Score]]  # oracle, controls, and lively: sway and blinks on
    pictures: dict[str, Fidelity]
    rests: dict[str, float]  # by portrait: how far open rest reads, over the range in speech
    shuts: list[Shut]
    blinks: float  # per minute
    seconds: float  # the run took

    @property
    def checks(self) -> list[Check]:
        return [
            *lip_checks(self.scores),
            *shut_checks(list(self.rests.values()), self.shuts),
            *picture_checks(self.pictures, self.blinks),
        ]

    def failed_by(self, control: str) -> list[str]:
        """Names of the gates that the control does not pass."""
        return [check.name for check in lip_checks(self.variants[control]) if not check.passed]

    @property
    def passed(self) -> bool:
        """All gates hold, and each control fails one."""
        return all(check.passed for check in self.checks) and all(map(self.failed_by, CONTROLS))


def text(outcome: Outcome) -> str:
    """The tables, then the gates."""
    by_clip = groupby(sorted(outcome.scores, key=_clip), _clip)
    by_face = groupby(outcome.scores, lambda score: score.portrait)
    human = [score for score in outcome.scores if score.human]
    synthesised = [score for score in outcome.scores if not score.human]
    lines = [f"driver: {outcome.driver}; means over portraits", HEAD]
    lines += [_row(clip, list(group)) for (_, clip), group in by_clip]
    lines += [_row("human, mean", human)] if human else []
    lines += [_row("synthesised, mean", synthesised)] if synthesised else []
    lines += ["", "means over clips", HEAD, *(_row(face, list(group)) for face, group in by_face)]
    name = outcome.variants["still"][0].portrait
    lines += ["", f"'{name}' moved otherwise; means over clips", HEAD]
    lines.append(_row("as it is", [score for score in outcome.scores if score.portrait == name]))
    lines += [_row(variant, group) for variant, group in outcome.variants.items()]
    lines += ["", f"{'':<18}{'PSNR dB':>8}{'border':>8}{'sharp':>7}{'redrawn':>11}{'rest':>8}"]
    lines += [
        _picture_row(name, seen) + f"{outcome.rests[name]:8.3f}"
        for name, seen in outcome.pictures.items()
    ]
    lines += ["", *_shut_table(outcome.shuts), *map(str, outcome.checks)]
    for control in CONTROLS:
        failed = outcome.failed_by(control)
        verdict = "fails " + "; ".join(failed) if failed else "PASSES, so the gates prove nothing"
        lines.append(f"control {control}: {verdict}")
    return "\n".join(lines + [f"{outcome.seconds:.0f} s"])


def write(outcome: Outcome, path: Path) -> None:
    """All figures, the gates, and what they were measured on."""
    record = {
        "made_by": describe(),
        "passed": outcome.passed,
        "gates": [asdict(check) | {"passed": check.passed} for check in outcome.checks],
        "controls": {control: outcome.failed_by(control) for control in CONTROLS},
        **asdict(outcome),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(record), indent=1) + "\n")


def note(line: str) -> None:
    """Progress, for people only."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)


def _clip(score: Score) -> tuple[bool, str]:
    return not score.human, score.clip


def _row(name: str, group: Sequence[Score]) -> str:
    closures = total(score.closures for score in group)
    vowels = total(score.shut_vowels for score in group)

    def mean(field: str) -> float:
        values = np.array([getattr(score, field) for score in group])
        return float(np.mean(values[~np.isnan(values)])) if not np.isnan(values).all() else np.nan

    return (
        f"{name:<18}{mean('corr'):6.2f}{mean('offset'):+8.0f}{mean('peak'):6.2f}"
        f"{f'{closures.hits}/{closures.total}':>10}{f'{vowels.hits}/{vowels.total}':>10}"
        f"{mean('range'):7.3f}{mean('silence'):8.2f}{mean('silence_std'):7.4f}{mean('encoder'):8.2f}"
        f"{mean('driving'):8.2f}{mean('jerk'):6.2f}{mean('jitter'):8.4f}"
    )


def _picture_row(name: str, seen: Fidelity) -> str:
    box = seen.redrawn
    size = f"{box.width}x{box.height}" if box else "-"
    return f"{name:<18}{seen.psnr:8.1f}{seen.border:8.3f}{seen.sharpness:7.2f}{size:>11}"


def _shut_table(shuts: Sequence[Shut]) -> list[str]:
    """Mean and 95th percentile of the opening over the range in speech."""
    if not shuts:
        return []
    sounds = list(dict.fromkeys(entry.sound for entry in shuts))
    lines = [f"{'open, mean / p95':<18}" + "".join(f"{sound:>21}" for sound in sounds)]
    for portrait in dict.fromkeys(entry.portrait for entry in shuts):
        row = [entry for entry in shuts if entry.portrait == portrait]
        cells = (f"{f'{entry.mean:+.3f} / {entry.top:+.3f}':>21}" for entry in row)
        lines.append(f"{portrait:<18}" + "".join(cells))
    return [*lines, ""]


def _rounded(value: object) -> object:
    """Six digits after the point are enough; what is no number becomes null."""
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    return value
