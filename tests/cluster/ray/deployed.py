"""The application, deployed on a Ray cluster of several raylets of this machine."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from tests.cli.program import COMMAND
from tests.cluster.live_cluster import PATIENCE_S, LiveCluster

ROOT = Path(__file__).parents[3]
NEEDS_RAY = pytest.mark.skipif(
    find_spec("ray") is None,
    reason="Ray is not installed; scripts/test --part cluster brings it, or scripts/install --ray",
)
TOKEN = "right-token-0123"
OPTIONS = {
    "token": TOKEN,
    "cores": 1,
    "drain_timeout_s": 40,
    "serve": "--rate-limit 0 --max-sessions 4 --tts off",
}


@dataclass
class Deployed:
    """The program that deployed it, and its front."""

    process: subprocess.Popen[str]
    live: LiveCluster
    options: Mapping[str, Any]

    def deploy(self, **options: Any) -> None:
        """Deploy it anew, with other options. Returns at once; see `deployed`."""
        self._say({**self.options, **options})

    def delete(self) -> None:
        """Take it away. Returns at once."""
        self._say(None)

    def done(self) -> None:
        """Return when that is done."""
        assert self.process.stdout is not None
        for line in self.process.stdout:  # Ray has its say there too
            if line == "done\n":
                return
        raise AssertionError("it ended before")

    def _say(self, message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()


@contextmanager
def deployed(**options: Any) -> Iterator[Deployed]:
    """Start Ray and deploy the application; at the end no process is left."""
    program = [sys.executable, "-m", "tests.cluster.ray.program"]
    with tempfile.TemporaryDirectory() as folder:
        face = Path(folder) / "face.avatar"  # prepared once, as a worker must start within seconds
        portrait = ROOT / "tests" / "data" / "portrait.png"
        subprocess.run([*COMMAND, "prepare", portrait, "--out", face], check=True)
        common = {**OPTIONS, "avatars": {"face": str(face)}}
        with _running([*program, json.dumps({**common, **options})], common) as opened:
            yield opened


@contextmanager
def _running(call: list[str], common: Mapping[str, Any]) -> Iterator[Deployed]:
    with subprocess.Popen(
        call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        root = psutil.Process(process.pid)
        assert process.stdin is not None and process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("http://"), line
            yield Deployed(process, LiveCluster(line.strip(), root, TOKEN), common)
            children = root.children(recursive=True)
            process.stdin.close()
            process.wait(PATIENCE_S)
            left = psutil.wait_procs(children, PATIENCE_S)[1]
            assert not left, f"processes are left behind: {left}"
        finally:
            if process.poll() is None:
                for child in [*root.children(recursive=True), root]:
                    with contextlib.suppress(psutil.NoSuchProcess):  # it ended with another
                        child.kill()
