"""Every bad picture, clip and avatar is refused in one sentence; a doubtful one is warned of."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from lipstream.avatar import quality
from lipstream.avatar.storage import load_avatar
from tests.avatar.scenes import faceless, pasted
from tests.cli.program import Program, sentence_in
from tests.media_files import write_wav

if TYPE_CHECKING:
    from lipstream.media.image import Image

# The peak of the program itself: `ru_maxrss` would begin with that of whoever started it.
MEMORY = (
    "print(next(int(line.split()[1]) // 1024 "
    "for line in open('/proc/self/status') if line.startswith('VmHWM')))"
)


def write_png(name: str, image: Image) -> None:
    Pillow.fromarray(image).save(name)


def write_half(source: Path, name: str) -> None:
    content = source.read_bytes()
    Path(name).write_bytes(content[: len(content) * 2 // 3])


def write_vast_png(path: Path, side: int) -> None:
    """Black, `side` squared; its rows take little space when compressed."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + name + data + pack(">I", zlib.crc32(name + data))

    rows = (b"\0" + bytes((side + 7) // 8)) * side
    form = pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", form) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def squeezed(image: Image) -> Image:
    """The portrait with the half right of its nose a quarter as wide: a head turned aside."""
    right = np.asarray(cv2.resize(image[:, 120:], (34, 256), interpolation=cv2.INTER_AREA))
    edge = np.repeat(right[:, -1:], 102, axis=1)
    return np.asarray(np.concatenate([image[:, :120], right, edge], axis=1), np.uint8)


@pytest.fixture
def bad_files(program: Program, image: Image, portrait: Path, clip: Path) -> None:
    """One of each, in the program's folder."""
    shutil.copy(portrait, "portrait.png")
    Path("folder").mkdir()
    os.mkfifo("pipe")
    for empty in ("empty.png", "empty.mp4"):
        Path(empty).touch()
    for text in ("text.png", "text.mp4", "text", "text.xyz", "text.avatar"):
        Path(text).write_text("Dear photographer, " * 200)
    write_wav(Path("sound.wav"), np.zeros(800, np.int16), 8000)
    write_half(portrait, "half.png")
    write_half(clip, "half.mp4")
    Pillow.fromarray(image).save("whole.jpg")
    write_half(Path("whole.jpg"), "half.jpg")
    write_png("dot.png", np.zeros((1, 1, 3), np.uint8))
    write_png("wall.png", faceless())
    write_png("far.png", pasted(image, (640, 480), 300, 200, 70))


@pytest.mark.usefixtures("bad_files")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nobody.png", "nobody.png does not exist"),
        ("portrait.png/face.png", "face.png does not exist"),
        ("x" * 300, "xxx cannot be opened: file name too long; check"),
        ("", "is a folder, as older versions"),
        ("folder", "folder is a folder, .*; prepare"),
        ("pipe", "pipe is a pipe or a device; save"),
        ("empty.png", "empty.png is empty"),
        ("text.avatar", "text.avatar is not a prepared avatar; give"),
        ("empty.mp4", "empty.mp4 is empty"),
        ("text.png", "text.png cannot be read as a picture or video"),
        ("text.mp4", "text.mp4 cannot be read as a picture or video"),
        ("text", "text cannot be read as a picture or video"),
        ("text.xyz", "text.xyz cannot be read as a picture or video"),
        ("sound.wav", "sound.wav has no video track; choose"),
        ("half.png", "half.png is damaged or cut short .*; save"),
        ("half.jpg", "half.jpg is damaged or cut short .*; save"),
        ("half.mp4", "half.mp4 .* cut short; .*export"),
        ("dot.png", "dot.png is only 1x1 pixels; give"),
        ("wall.png", "no face was found in wall.png; give"),
        ("far.png", "far.png is too small: .* pixels .* crop"),
    ],
)
def test_a_bad_avatar_is_refused(program: Program, speech: Path, name: str, reason: str) -> None:
    sentence = program.refused_render(name, speech)
    assert re.search(reason, sentence), sentence


def test_a_head_turned_aside_is_warned_of(program: Program, speech: Path, image: Image) -> None:
    write_png("aside.png", squeezed(image))
    done = program.done("render", "--avatar", "aside.png", "--audio", speech, "-o", "out.mp4")
    assert "warning: The head is turned to the side: a frontal face moves better.\n" in done.err


def test_a_profile_is_refused(
    program: Program, speech: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No picture that we can make is found to be a face and as far aside, so the limit moves."""
    monkeypatch.setattr(quality, "MAX_YAW", 0.2)
    write_png("aside.png", squeezed(image))
    sentence = program.refused_render("aside.png", speech)
    assert "face in aside.png is turned too far to the side; give one" in sentence


def test_of_two_faces_the_largest_is_taken_and_that_is_reported(
    program: Program, speech: Path, image: Image
) -> None:
    scene = pasted(image, (640, 320), 20, 20, 280)
    scene[60:240, 400:580] = cv2.resize(image, (180, 180), interpolation=cv2.INTER_AREA)
    write_png("two.png", scene)
    done = program.done("render", "--avatar", "two.png", "--audio", speech, "-o", "out.mp4")
    places = r"--face chooses another: 1 at 15\d,1\d\d, 2 at 48\d,1\d\d\.\n"
    assert re.search("warning: 2 faces were found: the largest is animated; " + places, done.err)
    assert Path("out.mp4").is_file()
    done = program.done("prepare", "two.png", "-o", "two.avatar", "--face", "2")
    assert "faces were found" not in done.out
    points = load_avatar("two.avatar").at(0).landmarks
    assert points is not None and points[:, 0].min() > 400
    sentence = program.refused("prepare", "two.png", "-o", "no.avatar", "--face", "20,300")
    assert sentence.startswith("two.png has 2 faces, but not a face at 20,300; choose one of them")


def test_a_picture_on_its_side_is_turned(program: Program, image: Image) -> None:
    write_png("lying.png", np.rot90(image))
    done = program.done("prepare", "lying.png", "-o", "lying.avatar")
    assert "The face is on its side: --rotate auto turns the picture." in done.out
    done = program.done("prepare", "lying.png", "-o", "up.avatar", "--rotate", "auto")
    assert "on its side" not in done.out
    assert np.array_equal(load_avatar("up.avatar").at(0).pixels, image)


def test_every_warning_is_one_line(program: Program, speech: Path, image: Image) -> None:
    write_png("small.png", pasted(image, (320, 240), 60, 20, 120))
    done = program.done("render", "--avatar", "small.png", "--audio", speech, "-o", "out.mp4")
    *warnings, chosen = done.err.splitlines()
    assert warnings and all(line.startswith("warning: ") for line in warnings)
    assert "small" in warnings[0]
    assert chosen.startswith("backend: puppet (")


@pytest.mark.slow
def test_a_vast_picture_is_refused_without_being_decoded(program: Program, speech: Path) -> None:
    """Decoded it would be 1.2 GB."""
    write_vast_png(program.folder / "vast.png", 20_000)
    arguments = ["render", "--avatar", "vast.png", "--audio", str(speech), "-o", "out.mp4"]
    script = f"from lipstream.cli import main; status = main({arguments}); {MEMORY}; exit(status)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "vast.png has too many pixels, more than the 50,000,000 allowed" in sentence_in(
        done.stderr
    )
    assert int(done.stdout) < 600  # MB
    assert [path.name for path in program.folder.iterdir()] == ["vast.png"]


def test_a_damaged_prepared_avatar_is_refused(
    program: Program, speech: Path, portrait: Path
) -> None:
    program.done("prepare", portrait, "-o", "anna.avatar")
    path = Path("anna.avatar")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"IDAT", b"idat"))
    sentence = program.refused_render("anna.avatar", speech)
    assert sentence.startswith("anna.avatar is damaged: frames/000000.png is not as it was saved;")
    path.write_bytes(content[:-9])
    sentence = program.refused_render("anna.avatar", speech)
    assert sentence.startswith("anna.avatar is cut short; prepare")
