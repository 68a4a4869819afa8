"""An output that cannot be written is one sentence, and existing files stay."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Mount
from tests.cli.program import COMMAND, Program, contents, sentence_in
from tests.media_files import tone, write_wav

PAGE = 4096  # bytes; what a disk in memory counts in


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("out.avi", r"out\.avi: only \.mp4 files are written; name it out\.mp4"),
        ("out", r"out: only \.mp4 files are written; name it out\.mp4"),
        ("", r"\. is a folder; name a file in it, such as out\.mp4"),
        ("/dev/full", r"only \.mp4 files are written; name it full\.mp4"),
        ("folder", r"folder is a folder; name a file in it, such as folder/out\.mp4"),
        ("folder.mp4", r"folder\.mp4 is a folder; name a file in it"),
    ],
)
def test_an_output_that_names_no_movie_is_a_wrong_call(
    program: Program, portrait: Path, speech: Path, name: str, reason: str
) -> None:
    Path("folder").mkdir()
    Path("folder.mp4").mkdir()
    call = ("render", "--avatar", portrait, "--audio", speech, "-o", name)
    sentence = program.refused(*call, status=2)
    assert re.search(reason, sentence), sentence


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file/out.mp4", r"the folder .*/file does not exist; create it"),
        ("missing/out.mp4", r"the folder .*/missing does not exist; create it"),
        ("/proc/out.mp4", r"/proc/out\.mp4 cannot be written: .*; check the folder"),
        ("x" * 300 + ".mp4", r"cannot be written: file name too long; check"),
    ],
)
def test_an_impossible_output_is_refused(
    program: Program, portrait: Path, speech: Path, name: str, reason: str
) -> None:
    Path("file").touch()
    sentence = program.refused("render", "--avatar", portrait, "--audio", speech, "-o", name)
    assert re.search(reason, sentence), sentence


def test_the_output_is_checked_before_the_inputs(program: Program) -> None:
    """Or minutes of work on a clip would be lost."""
    call = ("render", "--avatar", "nobody.png", "--audio", "nothing.wav", "-o", "out.avi")
    assert "only .mp4" in program.refused(*call, status=2)
    call = (*call[:-1], "missing/out.mp4")
    assert "does not exist; create it" in program.refused(*call)


@pytest.mark.parametrize("same", ["avatar", "audio", "link"])
def test_an_output_that_is_an_input_is_refused(
    program: Program, portrait: Path, speech: Path, same: str
) -> None:
    shutil.copy(portrait, "avatar.mp4")
    shutil.copy(speech, "audio.mp4")
    Path("link.mp4").symlink_to("audio.mp4")
    call = ("render", "--avatar", "avatar.mp4", "--audio", "audio.mp4", "-o", f"{same}.mp4")
    assert "is also an input; give the output another name" in program.refused(*call, status=2)


def test_a_read_only_disk_is_named(
    program: Program, portrait: Path, speech: Path, mount: Mount
) -> None:
    disk = mount("ro")
    call = ("render", "--avatar", portrait, "--audio", speech, "-o", disk / "out.mp4")
    sentence = program.refused(*call)
    assert sentence.endswith(f"the folder {disk} is not writable; choose another one.")
    sentence = program.refused("prepare", portrait, "-o", disk / "anna.avatar")
    assert sentence.endswith(f"the folder {disk} is not writable; choose another one.")


@pytest.mark.parametrize("pages", [0, 2])
def test_a_full_disk_is_named_and_nothing_is_lost(
    program: Program, portrait: Path, speech: Path, mount: Mount, pages: int
) -> None:
    disk = mount(f"size={16 * PAGE}")
    (disk / "out.mp4").write_bytes(b"precious")
    (disk / "ballast").write_bytes(bytes((15 - pages) * PAGE))
    before = contents(disk)
    call = ("render", "--avatar", portrait, "--audio", speech, "-o", disk / "out.mp4")
    sentence = program.refused(*call)
    assert sentence.endswith(f"the disk is full; free some space in {disk} or write elsewhere.")
    assert contents(disk) == before


def test_a_disk_that_fills_up_in_the_very_end_is_named(
    program: Program, portrait: Path, mount: Mount
) -> None:
    """All pictures fit, and the index that is moved before them does not."""
    speech = write_wav(Path("speech.wav"), np.asarray(tone(5.0, 8000) * 32767, np.int16), 8000)
    call = ("render", "--avatar", portrait, "--audio", speech, "--fps", "60", "-o")
    program.done(*call, "whole.mp4")
    whole = Path("whole.mp4").read_bytes()
    index = int.from_bytes(whole[whole.index(b"moov") - 4 :][:4], "big")
    assert index >= PAGE
    free = -(-(len(whole) - index) // PAGE)
    disk = mount(f"size={PAGE * (free + 64)}")
    (disk / "ballast").write_bytes(bytes(64 * PAGE))
    sentence = program.refused(*call, disk / "out.mp4")
    assert "the disk is full" in sentence
    assert list(contents(disk)) == ["ballast"]


def test_a_full_disk_behind_standard_output_is_named() -> None:
    with open("/dev/full", "w") as full:
        call = [*COMMAND, "models", "list"]
        done = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "standard output goes to is full; free some space" in sentence_in(done.stderr)
