"""A place where no movie can lie is refused before any work, as a wrong call or as a failure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lipstream.errors import LipstreamError, OptionError, OutputError
from lipstream.media.output_path import checked_target


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
