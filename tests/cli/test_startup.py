"""The program starts light, under each of its names, and lives with closed pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lipstream import __version__
from tests.cli.program import COMMAND, Program

HEAVY = {"av", "cv2", "numpy", "PIL", "soxr", "rich"}
LOADED = "print(*{name.split('.')[0] for name in sys.modules})"


@pytest.mark.parametrize(
    "call",
    [
        ["--help"],
        ["--version"],
        ["render", "--help"],
        ["render"],
        ["render", "--avatr", "x"],
        ["render", "--avatar", "a", "--audio", "a", "-o", "a.mp4", "--fps", "fast"],
        ["prepare"],
        ["rendr"],
    ],
    ids=" ".join,
)
def test_help_and_wrong_calls_load_nothing_heavy(call: list[str]) -> None:
    script = f"import sys; from lipstream.cli import main; main({call}); {LOADED}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.splitlines()[-1].split()) & HEAVY


def test_the_version_is_printed(program: Program) -> None:
    assert program.done("--version").out == f"lipstream, version {__version__}\n"


@pytest.mark.parametrize("command", [COMMAND, [str(Path(sys.executable).with_name("lipstream"))]])
def test_both_names_run_it(command: list[str]) -> None:
    if not Path(command[0]).exists():
        pytest.skip("the package is not installed")
    done = subprocess.run([*command, "render", "--fps"], capture_output=True, text=True)
    assert done.returncode == 2
    message = "lipstream: option '--fps' requires an argument; see `lipstream render --help`.\n"
    assert (done.stdout, done.stderr) == ("", message)


def test_a_reader_that_goes_away_is_no_fault() -> None:
    """As in `lipstream models list | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    call = [*COMMAND, "models", "list"]
    done = subprocess.run(call, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_pipe_gets_lines_and_no_bars(program: Program, portrait: Path, speech: Path) -> None:
    call = ["render", "--avatar", str(portrait), "--audio", str(speech), "-o", "out.mp4"]
    done = subprocess.run([*COMMAND, *call], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout == f"{program.folder / 'out.mp4'}: 5 frames, 0.20 s\n"
    assert all(line.startswith(("warning: ", "backend: ")) for line in done.stderr.splitlines())


@pytest.mark.parametrize("closed", ["1", "2"])
def test_closed_streams_are_no_fault(
    program: Program, portrait: Path, speech: Path, closed: str
) -> None:
    """As some schedulers start their jobs."""
    call = ["render", "--avatar", str(portrait), "--audio", str(speech), "-o", "out.mp4"]
    shell = ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *COMMAND, *call]
    done = subprocess.run(shell, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path("out.mp4").is_file()
