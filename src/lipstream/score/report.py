"""A score as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from lipstream.score.judgement import (
    MAX_CHANCE,
    MAX_EARLY_MS,
    MAX_LATE_MS,
    Score,
)

Row = tuple[str, float, str, str]  # name, value, format, what it should be


def as_json(score: Score) -> str:
    """All figures; null for those that cannot be said of this video."""
    figures = asdict(score)
    figures["closures"] = {"seen": score.closures.hits, "of": score.closures.total}
    return json.dumps(_plain(figures), indent=2)


def as_table(score: Score) -> str:
    """A line for each figure with what a good one is, and the verdict last."""
    lines = [f"{'':<24}{'measured':>12}   good"]
    for name, value, form, good in _rows(score):
        shown = "-" if math.isnan(value) else form.format(value)
        lines.append(f"{name:<24}{shown:>12}   {good}".rstrip())
    return "\n".join([*lines, "", score.verdict])


def _rows(score: Score) -> list[Row]:
    closures, needed = score.closures, score.needed_correlation
    in_sync = f"{-MAX_EARLY_MS} to {MAX_LATE_MS}"
    rows: list[Row] = [
        ("offset", score.offset_ms, "{:+.0f} ms", f"{in_sync}; + is lips late"),
        ("correlation", score.correlation, "{:.2f}", f"{needed:.2f} and more"),
        ("reached by chance", score.chance, "{:.2g}", f"{MAX_CHANCE:g} and less"),
        ("energy correlation", score.energy_correlation, "{:.2f}", ""),
        ("energy offset", score.energy_offset_ms, "{:+.0f} ms", ""),
        ("closures seen", 100 * closures.share, f"{{:.0f}} % of {closures.total}", "80 % and more"),
        ("range of the lips", score.range, "{:.3f}", "0.06 and more"),
        ("open in silence", score.silence_opening, "{:.2f}", "0.2 and less"),
        ("motion in silence", score.silence_motion, "{:.2f}", "0.1 and less"),
        ("sharpness of the mouth", score.sharpness, "{:.2f}", "0.7 to 1.1"),
        ("tint of the mouth", score.tint, "{:.1f}", "8 and less"),
        ("frames with a face", score.frames_with_face, f"{{:.0f}} of {score.frames}", "all"),
    ]
    if (other := score.reference) is not None:
        rows += [
            ("reference: colour", other.colour, "{:.1f}", "6 and less"),
            ("reference: sharpness", other.sharpness, "{:.2f}", "0.7 to 1.1"),
            ("reference: correlation", other.correlation, "{:.2f}", ""),
        ]
    if (lips := score.syncnet) is not None:
        rows += [
            ("SyncNet: LSE-C", lips.lse_c, "{:.2f}", "more is better"),
            ("SyncNet: LSE-D", lips.lse_d, "{:.2f}", "less is better"),
            ("SyncNet: offset", lips.offset_ms, "{:+.0f} ms", ""),
        ]
    return rows


def _plain(value: Any) -> Any:
    """Numbers that JSON has: rounded, and null for NaN."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 4)
    return value
