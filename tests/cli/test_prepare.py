"""`lipstream prepare`: a report to read, a file to use, and no other file touched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lipstream.avatar.storage import load_avatar
from lipstream.clip_player import source_rate
from tests.avatar.scenes import faceless, write_clip
from tests.cli.program import Program, contents


def test_a_picture_is_prepared_and_reported(program: Program, portrait: Path) -> None:
    Path("people").mkdir()
    done = program.done("prepare", portrait, "-o", "people/anna.avatar")
    assert re.search(r"^picture +256x256, 1 frame", done.out)
    assert re.search(r"^eye distance +7\d px$", done.out, re.M)
    assert re.search(r"^warning +The mouth is open", done.out, re.M)
    assert done.out.endswith("people/anna.avatar: ready for --avatar\n")
    assert done.err == ""
    assert load_avatar("people/anna.avatar").size == (256, 256)


def test_a_clip_is_prepared_and_reported(program: Program, clip: Path) -> None:
    done = program.done("prepare", clip, "-o", "anna.avatar")
    assert re.search(r"^picture +256x256, 8 frame", done.out)
    assert re.search(r"^face +seen in 8 frames, 0 filled, 0 lost$", done.out, re.M)
    assert load_avatar("anna.avatar").moving


def test_a_clip_is_prepared_at_the_rate_at_which_it_will_be_shown(
    program: Program, clip: Path
) -> None:
    program.done("prepare", clip, "-o", "anna.avatar", "--fps", "30")
    assert load_avatar("anna.avatar").fps == source_rate("anna.avatar") == 30


def test_an_older_avatar_is_replaced(program: Program, portrait: Path, clip: Path) -> None:
    program.done("prepare", portrait, "-o", "anna.avatar")
    program.done("prepare", clip, "-o", "anna.avatar")
    assert load_avatar("anna.avatar").moving
    assert [path.name for path in program.folder.iterdir()] == ["anna.avatar"]


def test_settings_come_from_the_file_and_variables(
    program: Program, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("settings.toml").write_text('[prepare]\nout = "anna.avatar"\nbackground = "#000000"')
    program.done("--config", "settings.toml", "prepare", portrait)
    assert load_avatar("anna.avatar").size == (256, 256)
    monkeypatch.setenv("LIPSTREAM_AVATAR_OUT", "berta.avatar")
    program.done("--config", "settings.toml", "prepare", portrait)
    assert load_avatar("berta.avatar").size == (256, 256)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("nobody.png", "nobody.png does not exist; check"),
        ("folder", "folder is a folder, .*; prepare"),
        ("empty.png", "empty.png is empty; copy"),
        ("text.avatar", "text.avatar is not a prepared avatar; give"),
        ("text.png", "text.png cannot be read as a picture or video"),
        ("wall.mp4", "no face was found in wall.mp4; give"),
    ],
)
def test_a_bad_source_is_refused(program: Program, source: str, reason: str) -> None:
    Path("folder").mkdir()
    Path("empty.png").touch()
    for name in ("text.png", "text.avatar"):
        Path(name).write_text("Dear photographer, " * 200)
    write_clip(Path("wall.mp4"), [faceless()] * 3)
    message = program.refused("prepare", source, "-o", "anna.avatar")
    assert re.search(reason, message), message


@pytest.mark.parametrize(
    ("target", "reason", "status"),
    [
        ("anna", r"anna: only \.avatar files are written; name it anna\.avatar", 2),
        ("anna.mp4", r"only \.avatar files are written; name it anna\.avatar", 2),
        ("folder.avatar", r"is a folder; name a file in it, such as folder\.avatar/out\.avatar", 2),
        ("missing/anna.avatar", "the folder .*/missing does not exist; create it first", 1),
        ("file/anna.avatar", "the folder .*/file does not exist; create it first", 1),
        ("/proc/anna.avatar", r"/proc/anna\.avatar cannot be written: no such file or dir", 1),
        ("x" * 300 + ".avatar", "cannot be written: file name too long; check", 1),
    ],
)
def test_a_bad_target_is_refused_before_any_work(
    program: Program, target: str, reason: str, status: int
) -> None:
    """The source would be refused too, but is not looked at yet."""
    Path("folder.avatar").mkdir()
    Path("file").write_text("mine")
    message = program.refused("prepare", "nobody.png", "-o", target, status=status)
    assert re.search(reason, message), message


def test_a_target_that_is_the_source_is_refused(program: Program, portrait: Path) -> None:
    Path("face.png").write_bytes(portrait.read_bytes())
    Path("link.avatar").symlink_to("face.png")
    message = program.refused("prepare", "face.png", "-o", "link.avatar", status=2)
    assert message.endswith("face.png is also an input; give the output another name.")


def test_an_avatar_may_be_prepared_again_in_its_place(program: Program, portrait: Path) -> None:
    """For another backend, say."""
    program.done("prepare", portrait, "-o", "anna.avatar")
    before = contents(program.folder)
    program.done("prepare", "anna.avatar", "-o", "anna.avatar")
    assert contents(program.folder) == before


def test_a_failure_leaves_an_older_avatar(program: Program, portrait: Path) -> None:
    program.done("prepare", portrait, "-o", "anna.avatar")
    Path("half.png").write_bytes(portrait.read_bytes()[:5000])
    message = program.refused("prepare", "half.png", "-o", "anna.avatar")
    assert "half.png is damaged or cut short" in message
