"""Comparing arrays of a recording with ours, and seeing that none is forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipstream.media.image import Box
from tests.golden_cases.outcome import Outcome

Case = Mapping[str, NDArray[np.generic]]


def read_case(path: Path) -> Case:
    """Every array of a recording by name; nothing is unpickled."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def near(name: str, ours: ArrayLike, recorded: ArrayLike, limit: float = 0.0) -> Outcome:
    """The largest difference of any value; inf for another shape. Exact unless `limit` is given."""
    one, other = np.asarray(ours), np.asarray(recorded)
    if one.shape != other.shape:
        return Outcome(name, float("inf"), limit)
    if one.dtype.kind in "US" or other.dtype.kind in "US":
        return Outcome(name, float((one != other).sum()), limit)
    difference = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return Outcome(name, float(difference.max(initial=0.0)), limit)


def not_compared(path: Path, case: Case, known: Iterable[str]) -> list[Outcome]:
    """A failure for each array that is neither an input nor compared."""
    return [
        Outcome(f"{label(path)} {name}: an array that this program does not know", np.inf, 0)
        for name in sorted(set(case) - set(known))
    ]


def label(path: Path) -> str:
    """The name of a recording in the report: folder and file."""
    return f"{path.parent.name}/{path.stem}"


def box_of(row: NDArray[np.generic]) -> Box:
    """A Box from the four numbers of a recording."""
    left, top, right, bottom = (int(value) for value in row[:4])
    return Box(left, top, right, bottom)


def corners(box: Box | None) -> tuple[int, int, int, int]:
    """The four numbers of a recording; zeros, upstream's placeholder, for no box."""
    return (0, 0, 0, 0) if box is None else (box.left, box.top, box.right, box.bottom)
