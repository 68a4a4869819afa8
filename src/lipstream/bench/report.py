"""A run's outcome as tables to read and as JSON to keep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lipstream.errors import OutputError, reason_of

FILE = "bench.json"


def write_report(report: Mapping[str, Any], out: Path) -> Path:
    """The file written: `out` if a .json, else one in that folder; OutputError if impossible."""
    path = out if out.suffix == ".json" else out / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be written: {reason_of(error)}; choose another --out."
        raise OutputError(message) from error
    return path


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Lines of a table; the first column to the left, numbers to the right."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        first, *others = zip(row, widths, strict=True)
        yield "  ".join([first[0].ljust(first[1]), *(cell.rjust(w) for cell, w in others)]).rstrip()


def session_table(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The table of some `LoadResult` records; times in ms, `cpu` in cores."""
    head = [key.replace("_", " ") for key in results[0]]
    return table(head, [list(result.values()) for result in results])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)
