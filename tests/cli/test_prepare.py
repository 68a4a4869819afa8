"""`lipstream prepare`: a report to read, a folder to use, and nothing of others touched."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lipstream.avatar.storage import load_avatar
from tests.avatar.scenes import faceless, write_clip
from tests.cli.program import Program, contents

if TYPE_CHECKING:
    from lipstream.media.image import Image


def test_a_picture_is_prepared_and_reported(program: Program, portrait: Path) -> None:
    done = program.done("prepare", portrait, "-o", "people/anna")
    assert re.search(r"^picture +256x256, 1 frame", done.out)
    assert re.search(r"^eye distance +7\d px$", done.out, re.M)
    assert re.search(r"^warning +The mouth is open", done.out, re.M)
    assert done.out.endswith("people/anna: ready for --avatar\n")
    assert done.err == ""
    assert load_avatar("people/anna").size == (256, 256)


def test_a_clip_is_prepared_and_reported(program: Program, clip: Path) -> None:
    done = program.done("prepare", clip, "-o", "anna")
    assert re.search(r"^picture +256x256, 8 frame", done.out)
    assert re.search(r"^face +seen in 8 frames, 0 filled, 0 lost$", done.out, re.M)
    assert load_avatar("anna").moving


def test_an_older_avatar_is_replaced(program: Program, portrait: Path, clip: Path) -> None:
    program.done("prepare", portrait, "-o", "anna")
    program.done("prepare", clip, "-o", "anna")
    assert load_avatar("anna").moving
    assert [path.name for path in program.folder.iterdir()] == ["anna"]


def test_settings_come_from_the_file_and_variables(
    program: Program, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("settings.toml").write_text('[prepare]\nout = "anna"\nbackground = "#000000"')
    program.done("--config", "settings.toml", "prepare", portrait)
    assert load_avatar("anna").size == (256, 256)
    monkeypatch.setenv("LIPSTREAM_AVATAR_DIR", "berta")
    program.done("--config", "settings.toml", "prepare", portrait)
    assert load_avatar("berta").size == (256, 256)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("nobody.png", "nobody.png does not exist; check"),
        ("folder", "folder is not a file; give"),
        ("empty.png", "empty.png is empty; give"),
        ("text.png", "text.png is not a picture that can be read; give"),
        ("wall.mp4", "no face was found in wall.mp4; give"),
    ],
)
def test_a_bad_source_is_refused(program: Program, source: str, reason: str) -> None:
    Path("folder").mkdir()
    Path("empty.png").touch()
    Path("text.png").write_text("Dear photographer, " * 200)
    write_clip(Path("wall.mp4"), [faceless()] * 3)
    assert reason in program.refused("prepare", source, "-o", "anna")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("foreign", "foreign exists and is not a prepared avatar; choose another folder"),
        ("link", "link exists and is not a prepared avatar; choose another folder"),
        ("file", "file exists and is not a prepared avatar; choose another folder"),
        ("file/anna", "file/anna cannot be written: not a directory; choose another folder"),
        ("/proc/anna", "/proc/anna cannot be written: no such file or dir.*; choose another"),
        ("x" * 300, "x cannot be written: file name too long; choose another folder"),
    ],
)
def test_a_bad_target_is_refused_before_any_work(
    program: Program, target: str, reason: str
) -> None:
    """The source would be refused too, but is not looked at yet."""
    Path("foreign").mkdir()
    Path("foreign/thesis.txt").write_text("the only copy")
    Path("link").symlink_to("nowhere")
    Path("file").write_text("mine")
    told = program.refused("prepare", "nobody.png", "-o", target)
    assert re.search(reason, told), told


def test_the_folder_of_the_source_is_refused(program: Program, portrait: Path) -> None:
    program.done("prepare", portrait, "-o", "anna")
    source = "anna/frames/000000.png"
    for target in ("anna", ".", "anna/frames"):
        told = program.refused("prepare", source, "-o", target, status=2)
        assert told.endswith(f" contains {source}; choose another folder.")
    Path("anna/photo.png").write_bytes(portrait.read_bytes())
    told = program.refused("prepare", portrait, "-o", "anna")
    assert "anna holds photo.png besides a prepared avatar; choose another folder" in told


def test_the_current_folder_is_filled(
    program: Program, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("anna").mkdir()
    monkeypatch.chdir("anna")
    for target in (".", "../anna", "x/.."):
        program.done("prepare", portrait, "-o", target)
        assert load_avatar(Path()).digest == load_avatar(program.folder / "anna").digest


def test_a_failure_leaves_an_older_avatar(program: Program, portrait: Path, image: Image) -> None:
    program.done("prepare", portrait, "-o", "anna")
    before = contents(Path("anna"))
    Path("half.png").write_bytes(portrait.read_bytes()[:5000])
    assert "half.png is damaged or cut short" in program.refused(
        "prepare", "half.png", "-o", "anna"
    )
    assert contents(Path("anna")) == before
