"""Measure a front's delay and memory, and the placement in a simulated large cluster.

    python -m benchmarks.cluster [--part simulation|front|workers] [--out FILE]

`simulation` (some minutes) takes virtual time and is the same on every machine. `front` asks a
worker the same calls directly and through a front, by turns, and opens 1000 sessions on workers
that only pretend, to see what the front keeps of them. `workers` (six minutes) counts late
frames of more and more speaking sessions, served by one process and by workers behind a front.
With `--out` the parts that ran replace theirs in the file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.cluster.front import measure_front
from benchmarks.cluster.simulation import Scenario, Simulation
from benchmarks.cluster.workers import measure_workers
from benchmarks.machine import describe

LARGE = (
    Scenario(workers=1000, sessions=100_000, fronts=1, load=0.95),
    Scenario(workers=1000, sessions=100_000, fronts=4, load=0.95),
    Scenario(workers=1000, sessions=100_000, fronts=4, load=0.8, dead_share=0.1),
    Scenario(workers=1000, sessions=100_000, fronts=4, load=1.1),
    Scenario(workers=60, sessions=20_000, fronts=4, load=0.95),
)
PARTS = ("simulation", "front", "workers")


def simulate() -> list[dict[str, object]]:
    """Every large scenario, with what it gave."""
    rows: list[dict[str, object]] = []
    for scenario in LARGE:
        outcome = Simulation(scenario).run()
        print(scenario, outcome, sep="\n", flush=True)
        rows.append({**asdict(scenario), **asdict(outcome), "wrong": outcome.wrongly_refused})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a front and its placement.")
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    measures: dict[str, Callable[[], object]] = {
        "simulation": simulate,
        "front": measure_front,
        "workers": measure_workers,
    }
    found = {part: measures[part]() for part in options.part or PARTS}
    if options.out is not None:
        before = json.loads(options.out.read_text()) if options.out.exists() else {}
        text = json.dumps({**before, "machine": describe(), **found}, indent=1)
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
