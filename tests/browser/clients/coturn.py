"""A TURN server of Debian's package coturn, on this machine alone."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.polling import poll

HOST = "127.0.0.1"
SECRET = "secret-of-the-tests"
START_S = 20.0  # until it accepts connections


@dataclass(frozen=True, slots=True)
class Relay:
    """A running TURN server."""

    url: str
    secret: str


def find_coturn() -> str | None:
    """The path of this machine's coturn, if it has one."""
    return shutil.which("turnserver")


@contextmanager
def open_coturn(path: str, folder: Path) -> Iterator[Relay]:
    """Start coturn as docs/server.md configures it, and end it afterwards.

    Unlike there, it may relay to this machine itself, where the tests' server is.
    """
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    secret = ("--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=example.org")
    place = (f"--listening-ip={HOST}", f"--relay-ip={HOST}", f"--listening-port={port}")
    files = (f"--pidfile={folder / 'pid'}", f"--userdb={folder / 'db'}", "--log-file=stdout")
    tests_only = ("-n", "--allow-loopback-peers", "--no-tls", "--no-dtls", "--no-cli")
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [path, *secret, *place, *files, *tests_only], cwd=folder, stdout=log, stderr=log
        )
        try:
            _wait_until_open(port, process, folder / "log.txt")
            yield Relay(f"turn:{HOST}:{port}", SECRET)
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    def is_open() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            return False
        return True

    poll(is_open, START_S, log.read_text)
