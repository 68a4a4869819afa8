"""Ctrl-C, a kill and a closed terminal end the work at once and leave nothing half done."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.cli.program import COMMAND, Program, contents
from tests.media_files import tone, write_wav

pytestmark = pytest.mark.slow

pty = pytest.importorskip("pty", reason="needs a system with terminals")

Bars = Callable[[], "Iterator[Callable[[str], Callable[[int, int | None], None]]]"]


@pytest.fixture(autouse=True)
def signals_end_the_work() -> Iterator[None]:
    """Background jobs begin with SIGINT ignored, and under nohup SIGHUP; children inherit that."""
    before = {
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ringing(number: signal.Signals, label: str, count: int) -> Bars:
    """Progress bars of which the one labelled `label` sends a signal at `count`."""

    @contextmanager
    def bars() -> Iterator[Callable[[str], Callable[[int, int | None], None]]]:
        def new_bar(name: str) -> Callable[[int, int | None], None]:
            def show(done: int, total: int | None) -> None:
                if name.startswith(label) and done == count:
                    signal.raise_signal(number)

            return show

        yield new_bar

    return bars  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("number", "label", "count"),
    [
        (signal.SIGINT, "preparing", 4),
        (signal.SIGINT, "rendering", 2),
        (signal.SIGTERM, "rendering", 4),
        (signal.SIGHUP, "rendering", 3),
    ],
)
def test_an_interrupted_render_changes_nothing(
    program: Program,
    clip: Path,
    speech: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    label: str,
    count: int,
) -> None:
    monkeypatch.setattr("lipstream.cli.render.progress_bars", ringing(number, label, count))
    assert program.refused_render(clip, speech) == "interrupted."
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_preparation_changes_nothing(
    program: Program,
    portrait: Path,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    program.done("prepare", portrait, "-o", "anna.avatar")
    monkeypatch.setattr("lipstream.cli.prepare.progress_bars", ringing(number, "measuring", 4))
    for target in ("anna.avatar", "berta.avatar"):
        message = program.refused("prepare", clip, "-o", target)
        assert message == "interrupted."


INTERRUPTING = """
import signal, sys

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "click":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from lipstream.cli import main
sys.exit(main(["doctor"]))
"""


def test_an_interrupt_while_the_program_loads_is_reported() -> None:
    command = [sys.executable, "-c", INTERRUPTING]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "lipstream: interrupted.\n")


def test_an_interrupt_while_the_call_is_read_is_reported(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "click.Path.convert", lambda *_: signal.raise_signal(signal.SIGINT), raising=True
    )
    assert program.refused("--config", "settings.toml", "doctor") == "interrupted."
    assert program.refused("render", "--avatar", "anna.png") == "interrupted."


def test_an_interrupt_when_all_is_done_is_reported(
    program: Program, portrait: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The movie is complete, but its line was not printed."""
    monkeypatch.setattr("click.format_filename", lambda *_: signal.raise_signal(signal.SIGINT))
    call = ("render", "--avatar", portrait, "--audio", speech, "-o", "out.mp4")
    outcome = program.call(*call)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.splitlines()[-1] == "lipstream: interrupted."
    assert Path("out.mp4").is_file()


def test_what_is_ignored_stays_ignored(
    program: Program, portrait: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under nohup the work goes on when the terminal is closed."""
    bars = ringing(signal.SIGHUP, "rendering", 2)
    monkeypatch.setattr("lipstream.cli.render.progress_bars", bars)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        program.done("render", "--avatar", portrait, "--audio", speech, "-o", "out.mp4")
    finally:
        signal.signal(signal.SIGHUP, before)


def read_until(terminal: int, text: str) -> str:
    """The output of a terminal up to and including `text`, or up to its end."""
    seen = ""
    while text not in seen:
        try:
            block = os.read(terminal, 4096)
        except OSError:  # how Linux reports that the other side is closed
            block = b""
        if not block:
            break
        seen += block.decode()
    return seen


def plain(shown: str) -> str:
    """Without colours and cursor movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_at_a_terminal(program: Program, portrait: Path, number: signal.Signals) -> None:
    """A minute of sound, interrupted when the bar shows that the work goes on."""
    write_wav(Path("long.wav"), np.asarray(tone(60, 8000) * 32767, np.int16), 8000)
    Path("out.mp4").write_bytes(b"precious")
    before = contents(program.folder)
    ours, theirs = pty.openpty()
    call = ["render", "--avatar", str(portrait), "--audio", "long.wav", "-o", "out.mp4"]
    with subprocess.Popen([*COMMAND, *call], stderr=theirs, stdout=subprocess.PIPE) as child:
        os.close(theirs)
        shown = read_until(ours, "rendering (puppet)")
        assert "rendering (puppet)" in shown
        child.send_signal(number)
        rest = plain(read_until(ours, "no such text"))
        os.close(ours)
        assert child.wait() == 1
        assert child.stdout is not None and child.stdout.read() == b""
    assert rest.strip().splitlines()[-1] == "lipstream: interrupted."
    assert "Traceback" not in rest
    assert contents(program.folder) == before


def test_a_terminal_shows_bars_and_then_the_result(
    program: Program, portrait: Path, speech: Path
) -> None:
    ours, theirs = pty.openpty()
    call = ["render", "--avatar", str(portrait), "--audio", str(speech), "-o", "out.mp4"]
    with subprocess.Popen([*COMMAND, *call], stderr=theirs, stdout=subprocess.PIPE) as child:
        os.close(theirs)
        shown = read_until(ours, "no such text")
        os.close(ours)
        assert child.wait() == 0
        assert child.stdout is not None and b"out.mp4: 5 frames" in child.stdout.read()
    assert "preparing" in shown and "1/1" in plain(shown)
    assert "rendering (puppet)" in shown and "5/5" in plain(shown)
    assert plain(shown).splitlines()[-1].startswith("backend: puppet (")
