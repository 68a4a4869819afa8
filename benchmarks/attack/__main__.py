"""Attack a server of one's own for minutes, with one live viewer, and see what it costs him.

    python -m benchmarks.attack [--minutes 5] [--rounds 1] [--short] [--log FILE] [--json FILE]

Starts `lipstream serve` with a token on a free port of loopback, and a viewer who speaks all the
time. First everything is quiet, then the attacks come one after the other and all together, once to
warm up and once to be judged. Nothing leaves this machine. Prints a row for each; exits
with 1 when a promise of `promises.py` is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.attack.promises import broken, missed, table
from benchmarks.attack.run import Timetable, run
from benchmarks.machine import describe, stolen_s, usable_cores


def report(name: str) -> None:
    """Say what begins."""
    print(f"{name} ...", file=sys.stderr, flush=True)


def main() -> int:
    """Parse the call, run, and print."""
    parser = argparse.ArgumentParser(prog="scripts/attack")
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="of the attacks and the quiet, from 2 on"
    )
    parser.add_argument(
        "--rounds", type=int, default=1, help="of all attacks at once, which show if memory grows"
    )
    parser.add_argument("--short", action="store_true", help="a moment for each attack instead")
    parser.add_argument("--log", type=Path, help="keep the server's log there")
    parser.add_argument("--json", type=Path, help="write the figures there")
    call = parser.parse_args()
    if call.minutes < 2:
        parser.error("--minutes must be at least 2; --short takes less.")
    if call.rounds < 1:
        parser.error("--rounds must be at least 1.")
    timetable = Timetable.short() if call.short else Timetable.of(60 * call.minutes, call.rounds)
    stolen, load = stolen_s(), Path("/proc/loadavg")
    with tempfile.TemporaryDirectory() as folder:
        log = call.log or Path(folder) / "server.log"
        result = asyncio.run(run(timetable, log, report))
    print(table(result))
    taken = (stolen_s() - stolen) / (result.seconds * usable_cores())
    busy = f", load {load.read_text().split()[0]}" if load.exists() else ""
    print(f"{usable_cores()} cores, {taken:.0%} of them taken by other guests{busy}.")
    faults, late = broken(result), missed(result)
    for fault in [*faults, *late]:
        print(f"broken: {fault}")
    if call.json is not None:
        found: dict[str, object] = {"machine": describe()}
        found["rows"] = [asdict(row) for row in result.rows]
        found |= {"warm_rss": result.warm_rss, "broken": faults, "missed": late}
        call.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if faults or late else 0


if __name__ == "__main__":
    sys.exit(main())
