"""A place where no movie can lie is refused before any work, as a wrong call or as a failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lipstream.errors import LipstreamError, OptionError, OutputError
from lipstream.media.output_path import STALE_S, checked_target, part_of, replacing


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("out.avi", OptionError, r"only \.mp4 files are written; name it out\.mp4"),
        ("out", OptionError, r"only \.mp4"),
        ("folder.mp4", OptionError, "is a folder; name a file in it"),
        ("folder", OptionError, "is a folder; name a file in it"),
        ("missing/out.mp4", OutputError, "does not exist; create it"),
        ("file.txt/out.mp4", OutputError, "does not exist"),
        ("x" * 300 + ".mp4", OutputError, "name too long"),
    ],
)
def test_an_impossible_target_is_refused(
    tmp_path: Path, name: str, kind: type[LipstreamError], reason: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").touch()
    with pytest.raises(kind, match=reason):
        checked_target(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_closed_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="not writable"):
        checked_target(tmp_path / "out.mp4")


def test_what_a_killed_writer_left_is_removed_a_day_later(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    old, running = part_of(target), part_of(target)
    for part, age_s in ((old, STALE_S + 60), (running, STALE_S - 60)):
        part.touch()
        os.utime(part, (time.time() - age_s,) * 2)
    (tmp_path / ".lipstream-mine.txt").touch()
    part_of(target)
    assert sorted(os.listdir(tmp_path)) == sorted([running.name, ".lipstream-mine.txt"])


KILLED = """
import os, signal, sys
from pathlib import Path
from lipstream.media.output_path import replacing
with replacing(Path(sys.argv[1]), ".avatar") as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_the_old_file_and_never_stops_the_next(tmp_path: Path) -> None:
    target = tmp_path / "anna.avatar"
    target.write_bytes(b"old")
    killed = subprocess.run([sys.executable, "-c", KILLED, target], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"
    with replacing(target, ".avatar") as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
