"""Tells a process that hangs from one that the system gives no time to run."""

from __future__ import annotations

import os
from pathlib import Path

MAX_STARVED_S = 5.0  # that are forgiven; then the process is as good as hung
RUNNABLE = "R"  # runs, or waits for a processor


class Silence:
    """The seconds for which a process has owed an answer and could have worked on it.

    While it sleeps or is stopped the clock counts, while it is runnable only the processor time it
    has had. For example, of 0.7 s in which ten others shared its core some 0.07 s count.
    """

    def __init__(self, stat: Path) -> None:
        """`stat` is the process's file of this name in Linux's /proc; where there is none, the
        clock alone counts."""
        self.seconds = 0.0
        self._stat = stat
        self._starved_s = 0.0
        self._used_s = 0.0  # of processor time at the last look

    def end(self) -> None:
        """It has answered, or has nothing to do."""
        self.seconds = self._starved_s = 0.0

    def go_on(self, passed_s: float) -> None:
        """It has owed an answer for another `passed_s`."""
        state, used_s = self._look()
        worked_s = min(used_s - self._used_s, passed_s)
        self._used_s = used_s
        if state == RUNNABLE and self._starved_s < MAX_STARVED_S:
            self._starved_s += passed_s - worked_s
            passed_s = worked_s
        self.seconds += passed_s

    def _look(self) -> tuple[str, float]:
        """The state and the processor time so far (proc_pid_stat(5)): fields 3, 14 and 15, counted
        after the name in parentheses, which may itself hold any sign."""
        try:
            fields = self._stat.read_text(errors="replace").rpartition(")")[2].split()
            ticks = int(fields[11]) + int(fields[12])
        except (OSError, ValueError, IndexError):
            return "", self._used_s
        return fields[0], ticks / os.sysconf("SC_CLK_TCK")
