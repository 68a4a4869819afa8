"""Calls the command line as a user does, and knows what every refusal must look like."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lipstream.cli import main

COMMAND = [sys.executable, "-m", "lipstream"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a call."""

    status: int
    out: str
    err: str


class Program:
    """`lipstream` in this process, in a folder of the test's own."""

    def __init__(self, capture: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capture = capture
        self.folder = folder

    def call(self, *arguments: str | Path) -> Outcome:
        """Descriptors are captured, not objects: what C libraries print counts too."""
        self._capture.readouterr()
        status = main([str(argument) for argument in arguments])
        return Outcome(status, *self._capture.readouterr())

    def done(self, *arguments: str | Path) -> Outcome:
        """A call that succeeds."""
        outcome = self.call(*arguments)
        assert outcome.status == 0, outcome.err
        return outcome

    def refused(self, *arguments: str | Path, status: int = 1) -> str:
        """A call that fails as promised: the sentence. No file of the folder may change."""
        before = contents(self.folder)
        outcome = self.call(*arguments)
        assert outcome.status == status, outcome
        assert contents(self.folder) == before
        assert outcome.out == ""
        return sentence_in(outcome.err)

    def refused_render(self, avatar: str | Path, audio: str | Path, status: int = 1) -> str:
        """The sentence of a failing render, the same with and without an older output."""
        call = ("render", "--avatar", avatar, "--audio", audio, "-o", "out.mp4")
        fresh = self.refused(*call, status=status)
        Path("out.mp4").write_bytes(b"precious")
        assert self.refused(*call, status=status) == fresh
        return fresh


def sentence_in(stderr: str) -> str:
    """The one sentence that stderr must hold, without the program's name."""
    (line,) = stderr.splitlines()
    assert line.startswith("lipstream: ")
    assert line.endswith((".", "?"))
    assert "Traceback" not in line and "bug in lipstream" not in line
    sentence = line.removeprefix("lipstream: ")
    assert not re.match("[A-Z][a-z]* ", sentence), "goes on after a colon"
    return sentence


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder; what is hidden too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def spawn(*arguments: str | Path, preparation: Callable[[], None] | None = None) -> Outcome:
    """The same in a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, preexec_fn=preparation
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may use the program too."""
    for name in [name for name in os.environ if name.startswith("LIPSTREAM_")]:
        monkeypatch.delenv(name)
