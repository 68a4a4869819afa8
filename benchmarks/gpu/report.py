"""The report of a run, and the tables of its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lipstream.bench.report import session_table, table

FORMAT = 2
WEIGHTS = "random: speed and equality only, they tell nothing about quality"
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
    gpu: dict[str, Mapping[str, str] | None] = field(default_factory=dict)  # before and after
    excluded: list[str] = field(default_factory=lambda: list(EXCLUDED))
    parts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # that each part took
    failed: list[str] = field(default_factory=list)  # sentences; empty when all is well

    def record(self) -> dict[str, object]:
        """The whole as plain values."""
        return {"format": FORMAT, "weights": WEIGHTS, "profile": "exact"} | asdict(self)


def part_table(part: str, found: Any) -> Iterator[str]:
    """A part's records as the lines of its tables."""
    tables: dict[str, Callable[[Any], Iterator[str]]] = {
        "ceilings": _ceilings,
        "equality": _equality,
        "throughput": _throughput,
        "sessions": _sessions,
        "schedule": _schedule,
    }
    yield from tables[part](found)


def _rows(found: Sequence[Mapping[str, Any]], *keys: str) -> list[list[object]]:
    return [[one[key] for key in keys] for one in found]


def _ceilings(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    head = ("limits of the device", "median", "worst", "best", "unit")
    yield from table(head, _rows(found, "name", "value", "worst", "best", "unit"))


def _equality(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    head = ("lipstream beside float32 and the baseline", "found", "limit", "equal")
    yield from table(head, _rows(found, "name", "value", "limit", "equal"))


def _throughput(found: Mapping[str, Any]) -> Iterator[str]:
    speeds = _rows(found["speeds"], "contender", "batch", "ms", "best", "worst", "fps", "ratio")
    for row, one in zip(speeds, found["speeds"], strict=True):
        row += [one["stages"].get(key) for key in ("unet", "decoder", "copy to host")]
    yield from table(
        ("networks alone", "batch", "ms/frame", "best", "worst", "frames/s", "ratio", "UNet",
         "decoder", "copy"),
        speeds,
    )  # fmt: skip
    if found["loops"]:
        yield ""
        yield from table(
            ("speech to finished frames", "batch", "frames/s", "worst", "best", "ratio"),
            _rows(found["loops"], "contender", "batch", "fps", "worst", "best", "ratio"),
        )
    if found["utilisation"]:
        keys = ("contender", "batch", "nominal", "executed", "gflop_nominal", "gflop_executed")
        yield ""
        yield from table(
            ("of the measured matrix product", "batch", "nominal", "executed", "GFLOP", "executed"),
            _rows(found["utilisation"], *keys),
        )


def _sessions(found: Mapping[str, Any]) -> Iterator[str]:
    yield from session_table(found["tried"])
    for name, held in found["most"].items():
        yield f"{held} sessions with less than 1 % of the frames late, {name}"


def _schedule(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    keys = ("device", "load", "pipelined", "ceiling", "sessions", "share", "late", "worst", "batch",
            "begun_p99", "made_p50", "made_p99", "made_p99_planned", "delay_p50", "delay_p99",
            "enough")  # fmt: skip
    yield from table(
        ("virtual device", "load", "pipelined", "ceiling", "sessions", "share", "late", "of one",
         "batch", "begun p99 ms", "made p50 ms", "p99", "p99 at 3/4", "delay p50 ms", "p99",
         "enough"),
        _rows(found, *keys),
    )  # fmt: skip
