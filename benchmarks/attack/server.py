"""The server under attack, and what is seen of it from outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "examples" / "portrait.png"
AVATAR = "face"
MAX_SESSIONS = 4
END_S = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    pid: int
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def rss(self) -> int:
        """Resident bytes of its own process, without those that draw and decode."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def files(self) -> int:
        """Open files, sockets included."""
        return int(psutil.Process(self.pid).num_fds())

    def log_bytes(self) -> int:
        return self.log.stat().st_size


@contextmanager
def open_server(token: str, log: Path) -> Iterator[Server]:
    """`lipstream serve` on a free port of this machine, with a portrait and the puppet."""
    command = [sys.executable, "-m", "lipstream", "serve", "--port", "0", "--backend", "puppet",
               "--max-sessions", str(MAX_SESSIONS), "--avatar", f"{AVATAR}={PORTRAIT}"]  # fmt: skip
    environment = {**os.environ, "LIPSTREAM_TOKEN": token}
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=file, text=True
        )
    assert process.stdout is not None
    try:
        found = re.match(r"lipstream is at (http://\S+) ", process.stdout.readline())
        if found is None:
            sys.exit(f"no server: {log.read_text(errors='replace')[-500:]}")
        yield Server(found[1], process.pid, log)
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
