"""A server in a process of its own, started by the command line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cli.program import COMMAND
from tests.through_front import THROUGH_FRONT, WORKERS

PATIENCE_S = 60.0


class Serving:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.line = process.stdout.readline()
        found = re.match(r"lipstream is at (http://\S+) \((\w+: .*)\)\n", self.line)
        assert found, self.line + (process.stderr.read() if process.stderr else "")
        self.url = found[1]

    def get(self, path: str, data: Any = None, **headers: str) -> tuple[int, Any]:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.url + path, body, headers)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """The exit code, and what was said."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, err


@contextmanager
def serving(*arguments: str | Path, under: Sequence[str] = ()) -> Iterator[Serving]:
    """`under` is a command that starts the one after it."""
    call = [*under, *COMMAND, "serve", "--port", "0", "--backend", "puppet", *map(str, arguments)]
    if THROUGH_FRONT and "--workers" not in arguments:
        call += ["--workers", str(WORKERS)]
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Serving(process)
        finally:
            process.kill()
            process.communicate()
