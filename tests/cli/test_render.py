"""`lipstream render` on good files."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image as Pillow

from lipstream.media.video_reader import read_clip
from tests.cli.program import Program
from tests.media_files import write_video

if TYPE_CHECKING:
    from lipstream.media.image import Image


def first_picture(path: str) -> Image:
    return next(read_clip(path))


def rate_of(path: str) -> Fraction:
    with av.open(path) as movie:
        rate = movie.streams.video[0].average_rate
    assert rate is not None
    return rate


@pytest.mark.parametrize("kind", ["picture", "clip", "prepared"])
def test_whatever_shows_a_face_talks(
    program: Program, portrait: Path, clip: Path, speech: Path, kind: str
) -> None:
    avatar = {"picture": portrait, "clip": clip, "prepared": Path("anna.avatar")}[kind]
    if kind == "prepared":
        program.done("prepare", portrait, "-o", avatar)
    done = program.done("render", "--avatar", avatar, "--audio", speech, "-o", "out.mp4")
    target = program.folder / "out.mp4"
    assert done.out == f"{target}: 5 frames, 0.20 s\n"
    assert done.err.splitlines()[-1].startswith("backend: puppet (")
    assert "\r" not in done.err and "%" not in done.err
    assert first_picture("out.mp4").shape == (256, 256, 3)
    assert [path.name for path in program.folder.glob("*.mp4")] == ["out.mp4"]


def test_an_older_output_is_replaced(program: Program, portrait: Path, speech: Path) -> None:
    Path("out.mp4").write_bytes(b"old")
    program.done("render", "--avatar", portrait, "--audio", speech, "-o", "out.mp4")
    assert first_picture("out.mp4").shape == (256, 256, 3)


def test_the_sound_of_a_video_is_taken(program: Program, portrait: Path, speech: Path) -> None:
    program.done("render", "--avatar", portrait, "--audio", speech, "-o", "first.mp4")
    done = program.done("render", "--avatar", portrait, "--audio", "first.mp4", "-o", "out.mp4")
    assert ": 5 frames, 0.20 s" in done.out


def test_a_chosen_backend_is_named(program: Program, portrait: Path, speech: Path) -> None:
    call = ("render", "--avatar", portrait, "--audio", speech, "-o", "out.mp4")
    done = program.done(*call, "--backend", "puppet")
    assert done.err.splitlines()[-1] == "backend: puppet (it was chosen)"


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("29.97", Fraction(30_000, 1001)),
        ("23.976 ", Fraction(24_000, 1001)),
        ("12.5", Fraction(25, 2)),
    ],
)
def test_a_frame_rate_is_exact(
    program: Program, portrait: Path, speech: Path, value: str, rate: Fraction
) -> None:
    call = ("render", "--avatar", portrait, "--audio", speech, "-o", "out.mp4")
    program.done(*call, "--fps", value)
    assert rate_of("out.mp4") == rate


@pytest.mark.parametrize(
    ("made", "rate", "frames"),
    [
        ("30000/1001", Fraction(30_000, 1001), 16),  # the clip is longer than the 0.2 s of speech
        ("120", Fraction(60), 12),  # the speech is longer
    ],
)
def test_a_clip_keeps_its_own_rate_and_is_shown_once(
    program: Program, image: Image, speech: Path, made: str, rate: Fraction, frames: int
) -> None:
    times = [index / Fraction(made) for index in range(16)]
    clip = write_video(Path("clip.mp4"), [image] * 16, times)
    call = ("render", "--avatar", clip, "--audio", speech, "-o", "out.mp4")
    done = program.done(*call, "--fps", "source", "--clip", "once")
    assert rate_of("out.mp4") == rate
    assert f"{frames} frames" in done.out


def test_a_picture_has_25_frames_per_second_of_its_own(
    program: Program, portrait: Path, speech: Path
) -> None:
    call = ("render", "--avatar", portrait, "--audio", speech, "-o", "out.mp4")
    program.done(*call, "--fps", "source")
    assert rate_of("out.mp4") == 25


def test_a_flag_wins_over_a_variable_and_that_over_the_file(
    program: Program, portrait: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = f'[render]\navatar = "{portrait}"\naudio = "{speech}"\nout = "out.mp4"\nfps = 10\n'
    Path("settings.toml").write_text(settings)
    call = ("--config", "settings.toml", "render")
    program.done(*call)
    assert rate_of("out.mp4") == 10
    monkeypatch.setenv("LIPSTREAM_FPS", "12")
    program.done(*call)
    assert rate_of("out.mp4") == 12
    program.done(*call, "--fps", "15")
    assert rate_of("out.mp4") == 15


def test_settings_of_an_editor_on_windows_are_read(
    program: Program, portrait: Path, speech: Path
) -> None:
    Path("settings.toml").write_bytes(b"\xef\xbb\xbf[render]\r\nfps = 10\r\n")
    names = ("--avatar", portrait, "--audio", speech, "-o", "out.mp4")
    program.done("--config", "settings.toml", "render", *names)
    assert rate_of("out.mp4") == 10


def test_a_blank_after_a_value_does_no_harm(
    program: Program, portrait: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"FPS": "30 ", "BACKEND": "puppet\n", "SEED": " 3 ", "BACKGROUND": "#00B140 "}
    for name, value in values.items():
        monkeypatch.setenv(f"LIPSTREAM_{name}", value)
    program.done("render", "--avatar", portrait, "--audio", speech, "-o", "out.mp4")
    assert rate_of("out.mp4") == 30


def test_a_quoted_home_folder_is_expanded(
    program: Program, portrait: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    Path("sounds").mkdir()
    Path("sounds/a.wav").write_bytes(speech.read_bytes())
    program.done("render", "--avatar", portrait, "--audio", "~/sounds/a.wav", "-o", "~/out.mp4")
    assert Path("out.mp4").exists()


def test_every_option_can_be_a_variable(
    program: Program, portrait: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"AVATAR": portrait, "AUDIO": speech, "OUT": "out.mp4", "BACKEND": "puppet"}
    for name, value in {**values, "BLINK": "0", "SWAY": "off", "SEED": "-3"}.items():
        monkeypatch.setenv(f"LIPSTREAM_{name}", str(value))
    assert "it was chosen" in program.done("render").err


def test_switches_and_colours_come_from_the_file(
    program: Program, image: Image, speech: Path
) -> None:
    """A head that sways moves the picture; here it must not, and the ground is green."""
    alpha = np.full((256, 256, 1), 255, np.uint8)
    alpha[:20] = 0
    Pillow.fromarray(np.concatenate([image, alpha], axis=2)).save("face.png")
    call = ("render", "--avatar", "face.png", "--audio", speech, "-o", "out.mp4")
    Path("settings.toml").write_text(
        '[render]\nblink = false\nmotion = "still"\nbackground = "#00B140"\n'
    )
    program.done("--config", "settings.toml", *call)
    top = [picture[:16].astype(int) for picture in read_clip("out.mp4")]
    assert np.abs(top[0] - (0x00, 0xB1, 0x40)).mean() < 6
    assert all(np.abs(picture - top[0]).max() < 10 for picture in top)


def test_a_name_that_is_no_text_works(program: Program, portrait: Path, speech: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")  # Latin-1, on a system that reads UTF-8
    done = program.done("render", "--avatar", portrait, "--audio", speech, "-o", name)
    assert Path(name).is_file() and "caf" in done.out


@pytest.mark.parametrize("place", [0, 1, -1])
def test_debug_shows_the_traceback_wherever_it_stands(program: Program, place: int) -> None:
    call = ["render", "--avatar", "nobody.png", "--audio", "nothing.wav", "-o", "out.mp4"]
    call.insert(len(call) if place < 0 else place, "--debug")
    outcome = program.call(*call)
    assert outcome.status == 1
    assert outcome.err.startswith("Traceback")
    assert outcome.err.splitlines()[-1].startswith("lipstream: nothing.wav does not exist")


@pytest.mark.parametrize("way", ["variable", "file"])
def test_debug_is_a_setting_too(
    program: Program, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    Path("settings.toml").write_text("debug = true")
    name, value = {"variable": ("DEBUG", "1"), "file": ("CONFIG", "settings.toml")}[way]
    monkeypatch.setenv(f"LIPSTREAM_{name}", value)
    outcome = program.call("render", "--avatar", "a", "--audio", "a", "-o", "a.mp4")
    assert outcome.status == 1 and outcome.err.startswith("Traceback")


def test_a_fault_of_our_own_is_one_sentence_too(
    program: Program, portrait: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("lipstream.rendering.puppet.renderer.PuppetRenderer.render_parts", broken)
    outcome = program.call("render", "--avatar", portrait, "--audio", speech, "-o", "out.mp4")
    assert outcome.status == 1
    assert outcome.err == (
        "lipstream: this is a bug in lipstream (ZeroDivisionError: of all things); "
        "run again with --debug and report what it prints.\n"
    )
    assert list(program.folder.iterdir()) == []
