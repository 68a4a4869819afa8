"""The table of one run, and its figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.cpu.faces.judge import (
    MAX_CHROMA,
    MAX_REST,
    MAX_SEAM,
    MAX_SHARPNESS,
    MIN_LIPS,
    MIN_MEAN_LIPS,
    MIN_SHARPNESS,
    Figures,
)
from benchmarks.machine import describe

HEAD = " ".join(
    [
        f"{'face':<36} {'eyes':>4} {'lips':>5} {'by':<8} {'rest':>5} {'teeth':>9} {'of':<10}",
        f"{'tint':>7} {'grey':>6} {'soft':>5} {'med':>5} {'wide':>5} {'seam':>5}",
        f"{'doubled':>7} {'lost':>4} {'silence':>13} {'ms':>5}",
    ]
)
LEGEND = f"""\
eyes     pixels between the outer eye corners
lips     correlation with the phonemes, >= {MIN_LIPS} each, {MIN_MEAN_LIPS} in the mean; by geometry
         where the tracker cannot follow the mouth (the rows in which its inside is seen)
rest     opening at rest over the range of speech, <= {MAX_REST}; of a clip in 95 % of its silence
parted   (where it fails) at rest something bright lies between two dark lines of the lips
teeth    brightest twentieth of the inside / the most that is allowed: 1.1 x the eye white, or
         1.25 x the skin where no eye white was measured
tint     chroma of the teeth / of the skin
grey     chroma of the inside / skin + {MAX_CHROMA:g}, in a grey copy of the picture
soft ... sharpness of the mouth over that of eyes and nose, {MIN_SHARPNESS} to {MAX_SHARPNESS}
seam     step at the border of what is redrawn over the source's, <= {MAX_SEAM}
doubled  frames with a line that no single mouth has, 0; lost: frames whose lips are pulled away, 0
silence  motion of the mouth / the nose / the source's own mouth, thousandths of the eyes' distance
         a frame (clips only)"""


def table(figures: Sequence[Figures], refused: dict[str, str], title: str) -> str:
    """One row a face with what fails, and the mean of the lips."""
    lines = [f"== {title}", HEAD, *(_row(one) for one in figures)]
    lines += [f"{name:<36} REFUSED: {reason}" for name, reason in refused.items()]
    lips = mean_lips(figures)
    verdict = "pass" if lips >= MIN_MEAN_LIPS else "FAIL"
    failed = sum(bool(one.failures()) for one in figures) + len(refused)
    lines.append(f"mean of the lips {lips:.2f}, >= {MIN_MEAN_LIPS} {verdict}")
    lines.append(f"{failed} of {len(figures) + len(refused)} fail")
    return "\n".join(lines)


def mean_lips(figures: Sequence[Figures]) -> float:
    """The mean correlation of all faces."""
    return float(np.mean([one.lips for one in figures])) if figures else 0.0


def record(figures: Sequence[Figures], refused: dict[str, str]) -> dict[str, object]:
    """The figures of one version as JSON has them."""
    faces = [{**asdict(one), "failures": one.failures()} for one in figures]
    return {"mean_lips": mean_lips(figures), "faces": faces, "refused": refused}


def write(path: Path, sentences: Sequence[str], versions: dict[str, dict[str, object]]) -> None:
    """Write the figures of all versions, what was spoken, and the machine's description."""
    content = {"machine": describe(), "sentences": sentences, **versions}
    path.write_text(json.dumps(_rounded(content), indent=1) + "\n")


def _rounded(value: object) -> object:
    """Four digits after the point are more than any figure here is good for."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, (list, tuple)) else value


def _row(one: Figures) -> str:
    teeth = "shut" if one.teeth is None else f"{one.teeth:.0f}/{one.max_teeth:.0f}"
    of = f"skin {one.skin:.0f}" if one.eye_white is None else f"white {one.eye_white:.0f}"
    grey = "-" if one.chroma is None else f"{one.chroma:.0f}/{one.max_chroma:.0f}"
    tint = "-" if one.teeth_chroma is None else f"{one.teeth_chroma:.0f}/{one.skin_chroma:.0f}"
    silence = "-"
    if one.silence is not None and one.head is not None and one.source is not None:
        silence = "/".join(f"{1000 * value:.1f}" for value in (one.silence, one.head, one.source))
    failed = one.failures()
    cells = [
        f"{one.name[:36]:<36} {one.unit:4.0f} {one.lips:5.2f} {one.by:<8} {one.rest:5.2f}",
        f"{teeth:>9} {of:<10} {tint:>7} {grey:>6}",
        *(f"{value:5.2f}" for value in one.sharpness.values()),
        f"{one.seam:5.2f} {one.doubled:3}/{one.frames:3} {one.lost:4} {silence:>13}",
        f"{one.milliseconds:5.1f}  " + (f"FAIL: {', '.join(failed)}" if failed else "pass"),
    ]
    return " ".join(cells)
