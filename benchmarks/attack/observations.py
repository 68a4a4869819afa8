"""What the viewer and the probes tell, read in a thread, and the figures of a stretch of time."""

from __future__ import annotations

import bisect
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.attack.server import AVATAR, ROOT, Server
from lipstream.timeline import FPS

SPEECH = ROOT / "examples" / "speech.wav"
CONNECT_S = 60.0


@dataclass(frozen=True, slots=True)
class Watched:
    """The viewer's pictures, and the probes, in a stretch of time."""

    seconds: float
    pictures: int
    late: float  # share of the frames due that were repeated, or did not come
    gap_ms: int  # longest time between two pictures
    probes: int
    failed: int  # of the probes, those not answered with 200


@dataclass
class Observations:
    """Everything that the viewer's process has told so far."""

    udp: list[tuple[str, int]] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)  # when each came
    repeated: list[tuple[float, int]] = field(default_factory=list)  # when, how many so far
    probes: list[tuple[float, int]] = field(default_factory=list)  # when, status
    states: list[str] = field(default_factory=list)  # of the session, each second
    errors: list[str] = field(default_factory=list)

    def take(self, message: dict[str, Any]) -> None:
        """Note one line of it."""
        if "picture" in message:
            self.pictures.append(message["picture"])
        elif "probe" in message:
            self.probes.append((message["at"], message["status"]))
        elif "state" in message:
            self.states.append(message["name"])
            self.repeated.append((message["at"], message["state"].get("repeated", 0)))
        elif "udp" in message:
            self.udp = [(host, int(port)) for host, port in message["udp"]]
        else:
            self.errors.append(str(message))

    def between(self, began: float, ended: float) -> Watched:
        """The figures from `began` to `ended`, seconds of `time.monotonic`."""
        first, last = (bisect.bisect(self.pictures, when) for when in (began, ended))
        times = self.pictures[max(first - 1, 0) : last] + [ended]
        gap = max((b - a for a, b in zip(times, times[1:], strict=False)), default=ended - began)
        due = (ended - began) * float(FPS)
        repeated = self._repeated_at(ended) - self._repeated_at(began)
        missing = max(due - (last - first) - 1, 0.0)  # a picture may be on its way at either end
        asked = [status for when, status in self.probes if began <= when <= ended]
        return Watched(
            ended - began,
            last - first,
            (repeated + missing) / due,
            round(1000 * gap),
            len(asked),
            sum(status != 200 for status in asked),
        )

    def _repeated_at(self, when: float) -> int:
        place = bisect.bisect(self.repeated, (when, sys.maxsize))
        return self.repeated[place - 1][1] if place else 0


@contextmanager
def open_viewer(server: Server, token: str) -> Iterator[Observations]:
    """A viewer who sees pictures, in a process of his own."""
    arguments = [server.url, token, AVATAR, str(SPEECH)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.attack.viewer", *arguments],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    seen = Observations()
    output = process.stdout

    def read() -> None:
        for line in output:
            seen.take(json.loads(line))

    thread = threading.Thread(target=read, name="observations")
    thread.start()
    try:
        end = time.monotonic() + CONNECT_S
        while not seen.pictures and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        if not seen.pictures:
            sys.exit("the viewer saw no picture; nothing can be measured.")
        yield seen
    finally:
        process.stdin.close()
        process.wait(CONNECT_S)
        thread.join()
        output.close()
