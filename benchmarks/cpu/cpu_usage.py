"""Processor time of a program's processes, read from the system."""

from __future__ import annotations

from collections.abc import Mapping

import psutil  # type: ignore[import-untyped]

MAIN = "main"


def cpu_seconds(pid: int) -> dict[str, float]:
    """Seconds of the process itself, as `main`, and of each of its children, as `worker N`.

    Children are numbered in the order in which they were started; one that has ended is missing.
    """
    main = psutil.Process(pid)
    children = sorted(main.children(recursive=True), key=lambda child: child.create_time())
    found = {MAIN: _seconds(main)}
    for number, child in enumerate(children, 1):
        try:
            found[f"worker {number}"] = _seconds(child)
        except psutil.NoSuchProcess:  # ended since it was listed
            continue
    return found


def ms_per_session_second(
    before: Mapping[str, float], after: Mapping[str, float], session_seconds: float
) -> dict[str, float]:
    """Milliseconds of each process for a second of one session."""
    return {
        name: 1000 * (seconds - before.get(name, 0.0)) / session_seconds
        for name, seconds in after.items()
    }


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
