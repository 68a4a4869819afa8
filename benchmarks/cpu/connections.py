"""Viewers come and go, hundreds of times: what is left of them?

    MALLOC_ARENA_MAX=2 python -m benchmarks.cpu.connections [--cycles 500] [--at-once 4]

Each cycle connects a real viewer to a session by WebRTC, lets it see a few pictures, and ends with
one side hanging up, in turns. Prints descriptors, threads, tasks and memory as it goes; the first
quarter is warm-up. Both sides live in this process, so the memory of both is counted. Without
`MALLOC_ARENA_MAX` glibc gives every thread an arena, and memory grows by fragments. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.machine import describe
from lipstream.server.admission import usable_cores
from lipstream.server.rtc.connection import WebRTCTransport
from lipstream.server.rtc.media_sender import MediaWorkers
from lipstream.server.rtc.settings import TransportSettings
from tests.server.sources import MarkedSource
from tests.server.viewers import Viewer

PICTURES = 3  # that each viewer sees before somebody hangs up
ROWS = 8


@dataclass(frozen=True, slots=True)
class Row:
    """The resources of the process after so many cycles, with nobody connected."""

    cycles: int
    descriptors: int
    threads: int
    tasks: int
    rss_mb: float


@dataclass(slots=True)
class Tally:
    """The outcome of the cycles."""

    failed: int = 0
    first_picture_s: float = 0.0  # added up


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cycles", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=4, help="viewers at the same time")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    if "MALLOC_ARENA_MAX" not in os.environ:
        print("MALLOC_ARENA_MAX is not set: memory will grow by fragments", file=sys.stderr)
    began = time.perf_counter()
    rows, tally = asyncio.run(measure(arguments.cycles, arguments.at_once))
    taken = time.perf_counter() - began
    first = 1000 * tally.first_picture_s / max(1, arguments.cycles - tally.failed)
    print(f"{arguments.cycles} cycles in {taken:.0f} s, {tally.failed} failed")
    print(f"offer to first decoded picture: {first:.0f} ms on average")
    if arguments.out is not None:
        figures = {
            "rows": [asdict(row) for row in rows],
            "failed": tally.failed,
            "seconds": taken,
            "first_picture_ms": first,
            "arenas": os.environ.get("MALLOC_ARENA_MAX"),
        }
        result = {"connections": figures, "machine": describe()}
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    return int(tally.failed > 0)


async def measure(cycles: int, at_once: int) -> tuple[list[Row], Tally]:
    """Run the cycles; a row before, and after each eighth of them."""
    workers, tally, rows = MediaWorkers(usable_cores()), Tally(), [_row(0)]
    print("  cycles  descriptors  threads  tasks  RSS MB")
    _show(rows[0])
    step = max(at_once, cycles // ROWS)
    for start in range(0, cycles, step):
        numbers = range(start, min(start + step, cycles))
        for first in range(0, len(numbers), at_once):
            batch = numbers[first : first + at_once]
            await asyncio.gather(*(_cycle(number, workers, tally) for number in batch))
        rows.append(_row(numbers[-1] + 1))
        _show(rows[-1])
    workers.close()
    return rows, tally


async def _cycle(number: int, workers: MediaWorkers, tally: Tally) -> None:
    """One viewer, from offer to the last task. Odd ones hang up, the others are shown out."""
    ended = asyncio.Event()
    transport = WebRTCTransport(
        MarkedSource(), TransportSettings(), workers, on_closed=lambda _: ended.set()
    )
    viewer, began = Viewer(), time.perf_counter()
    try:
        await viewer.connect(transport)
        await viewer.until(1)
        tally.first_picture_s += time.perf_counter() - began
        await viewer.until(PICTURES)
        if number % 2:
            await viewer.close()
            await asyncio.wait_for(ended.wait(), 10)
    except (AssertionError, OSError, asyncio.TimeoutError) as error:
        print(f"cycle {number}: {error!r}", file=sys.stderr)
        tally.failed += 1
    await transport.close()
    await viewer.close()


def _row(cycles: int) -> Row:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Row(
        cycles,
        len(list(Path("/proc/self/fd").iterdir())),
        threading.active_count(),
        len(asyncio.all_tasks()),
        pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
    )


def _show(row: Row) -> None:
    print(
        f"{row.cycles:8}  {row.descriptors:11}  {row.threads:7}  {row.tasks:5}  {row.rss_mb:6.1f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
