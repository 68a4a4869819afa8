"""What a run found: as a file that says all there is to say, and as tables for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipstream.errors import InputError, OutputError

FORMAT = 1
FILE = "bench.json"
WEIGHTS = "drawn at random: speed and equality only, nothing is said about quality"
EXCLUDED = (
    "text to speech, language models and networks of computers",
    "preparing avatars",
    "skipping silence: every session speaks all the time",
)


@dataclass(slots=True)
class Report:
    """A run as it goes on."""

    machine: Mapping[str, object]
    device: str
    dtype: str | None
    networks: str
    profile: str = "exact"
    gpu_before: Mapping[str, str] | None = None
    gpu_after: Mapping[str, str] | None = None
    excluded: list[str] = field(default_factory=lambda: list(EXCLUDED))
    facts: dict[str, object] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # that each part took
    failed: list[str] = field(default_factory=list)  # sentences; empty when all is well

    def record(self) -> dict[str, object]:
        """The whole as plain values."""
        return {
            "format": FORMAT,
            "machine": dict(self.machine),
            "device": self.device,
            "gpu": {"before": self.gpu_before, "after": self.gpu_after},
            "dtype": self.dtype,
            "networks": self.networks,
            "weights": WEIGHTS,
            "profile": self.profile,
            "excluded": self.excluded,
            "facts": self.facts,
            "seconds": self.seconds,
            "parts": self.parts,
            "failed": self.failed,
        }


def write_report(report: Report, out: Path) -> Path:
    """The file written: `out` if it ends in .json, else one in the folder `out`, which is made.

    OutputError where that cannot be done.
    """
    path = out if out.suffix == ".json" else out / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report.record(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"{path} cannot be written: {reason}; choose another --out.") from error
    return path


def read_report(path: Path) -> dict[str, Any]:
    """What `write_report` wrote; InputError for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path} cannot be read: {reason}; name a report of a run.") from error
    except ValueError as error:
        raise InputError(f"{path} is no report; name one that --out has written.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{path} is no report of this version; run the benchmark again.")
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Lines of a table; the first column to the left, numbers to the right."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        first, *others = zip(row, widths, strict=True)
        yield "  ".join([first[0].ljust(first[1]), *(cell.rjust(w) for cell, w in others)]).rstrip()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def told(part: str, found: Any) -> Iterator[str]:
    """A part's records as the lines of its tables."""
    tables: dict[str, Callable[[Any], Iterator[str]]] = {
        "ceilings": _ceilings,
        "equality": _equality,
        "throughput": _throughput,
        "sessions": _sessions,
        "schedule": _schedule,
        "puppet": _puppet,
    }
    yield from tables[part](found)


def _ceilings(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from table(
        ("what the device does at most", "median", "worst", "best", "unit"),
        [[one[key] for key in ("name", "value", "worst", "best", "unit")] for one in found],
    )


def _equality(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from table(
        ("lipstream beside float32 and the baseline", "found", "limit", "equal"),
        [[one[key] for key in ("name", "value", "limit", "equal")] for one in found],
    )


def _throughput(found: Mapping[str, Any]) -> Iterator[str]:
    yield from table(
        ("networks alone", "batch", "ms/frame", "best", "worst", "frames/s", "ratio", "UNet",
         "decoder", "copy"),
        [
            [one[key] for key in ("side", "batch", "ms", "best", "worst", "fps", "ratio")]
            + [one["stages"].get(key) for key in ("unet", "decoder", "copy to host")]
            for one in found["speeds"]
        ],
    )  # fmt: skip
    if found["loops"]:
        yield ""
        yield from table(
            ("speech to finished frames", "batch", "frames/s", "worst", "best", "ratio"),
            [
                [one[key] for key in ("side", "batch", "fps", "worst", "best", "ratio")]
                for one in found["loops"]
            ],
        )
    if found["utilisation"]:
        yield ""
        yield from table(
            ("of the measured matrix product", "batch", "nominal", "executed", "GFLOP", "executed"),
            [
                [one[key] for key in ("side", "batch", "nominal", "executed")]
                + [one["gflop_nominal"], one["gflop_executed"]]
                for one in found["utilisation"]
            ],
        )


def _sessions(found: Mapping[str, Any]) -> Iterator[str]:
    keys = ("sessions", "encoded", "chunk_ms", "late", "worst", "begun_p50", "begun_p99",
            "made_p50", "made_p99", "p50", "p99", "longest", "host_p50", "host_p99", "batch", "cpu",
            "held")  # fmt: skip
    yield from table(
        ("sessions", "encoded", "chunk ms", "late", "of one", "begun p50 ms", "p99", "made p50 ms",
         "p99", "out p50 ms", "p99", "max", "host p50 ms", "p99", "batch", "cores", "held"),
        [[one[key] for key in keys] for one in found["tried"]],
    )  # fmt: skip
    for name, most in found["most"].items():
        yield f"{most} sessions with less than 1 % of the frames late, {name}"


def _schedule(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    keys = ("device", "load", "pipelined", "ceiling", "sessions", "share", "late", "worst", "batch")
    yield from table(
        ("imaginary device", "load", "pipelined", "ceiling", "sessions", "share", "late", "of one",
         "batch", "begun p99 ms", "made p50 ms", "p99", "p99 at 3/4", "waits p50 ms", "p99",
         "enough"),
        [
            [one[key] for key in (*keys, "begun_p99", "made_p50", "made_p99",
                                  "made_p99_eased", "delay_p50", "delay_p99", "enough")]
            for one in found
        ],
    )  # fmt: skip


def _puppet(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from table(
        ("drawing, one core", "ms/frame", "best", "worst", "hearing", "ratio", "sessions/core"),
        [
            [one[key] for key in ("name", "median", "best", "worst", "hearing", "ratio")]
            + [one["sessions_per_core"]]
            for one in found
        ],
    )
