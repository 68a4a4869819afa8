"""A server that speaks S3's protocol, as a process, with the variables that lead to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from types import TracebackType

import httpx
import pytest

from lipstream.server.avatars.stores.object_store import FsspecObjects

START_S = 30.0


class S3Server:
    """It keeps objects in its memory: one that was stopped and started again is empty."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._variables = pytest.MonkeyPatch()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """The environment of whoever shall use it."""
        keys = {"AWS_ACCESS_KEY_ID": "anna", "AWS_SECRET_ACCESS_KEY": "secret"}
        return {**keys, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": self.url}

    def start(self) -> None:
        """Return when it answers and has its bucket."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(
            command, env={**os.environ, **self.variables}, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + START_S
        while True:
            try:
                answer = httpx.put(f"{self.url}/bucket", timeout=START_S)
                assert answer.status_code == 200, answer.text
                return
            except httpx.TransportError:
                assert time.monotonic() < until and self._process.poll() is None
                time.sleep(0.1)

    def stop(self) -> None:
        """Kill it: connections are refused from now on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """From now on it takes what comes and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> S3Server:
        for name, value in self.variables.items():
            self._variables.setenv(name, value)
        self.start()
        FsspecObjects("s3://bucket/warm").list()  # starts fsspec's thread, which stays
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._variables.undo()
        self.stop()
