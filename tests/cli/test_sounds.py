"""Every bad sound is refused in one sentence; every odd but good one works."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lipstream.media.audio_reader import open_audio
from tests.cli.program import Program
from tests.media_files import tone, write_wav

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture
def bad_files(program: Program, clip: Path, speech: Path) -> None:
    """One of each, in the program's folder."""
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("empty.wav").touch()
    for text in ("text.wav", "text.mp3", "text.xyz"):
        Path(text).write_text("Dear listener, " * 200)
    write_wav(Path("none.wav"), np.zeros(0, np.int16), 16_000)
    Path("silent.mp4").write_bytes(clip.read_bytes())
    Path("half.wav").write_bytes(speech.read_bytes()[:3000])
    Path("half.mp4").write_bytes(clip.read_bytes()[:3000])
    samples = tone(0.2, 16_000)
    samples[3000] = np.nan
    write_wav(Path("nan.wav"), samples, 16_000)


@pytest.mark.usefixtures("bad_files")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nothing.wav", "nothing.wav does not exist; check"),
        ("text.wav/a.wav", "a.wav does not exist; check"),
        ("x" * 300, "xxx cannot be opened: file name too long; check"),
        ("folder", "folder is a folder; name"),
        ("pipe", "pipe is a pipe or a device; save"),
        ("/dev/zero", "/dev/zero is a pipe or a device; save"),
        ("empty.wav", "empty.wav is empty; copy"),
        ("text.wav", "text.wav cannot be read as audio or video"),
        ("text.mp3", "text.mp3 cannot be read as audio or video"),
        ("text.xyz", "text.xyz cannot be read as audio or video"),
        ("none.wav", "none.wav holds no sound at all; choose"),
        ("silent.mp4", "silent.mp4 has no sound track; choose"),
        ("half.wav", "half.wav is cut short: .*; copy"),
        ("half.mp4", "half.mp4 .* cut short; .*export"),
        ("nan.wav", "nan.wav: the audio holds NaN .*; export"),
    ],
)
def test_a_bad_sound_is_refused(program: Program, portrait: Path, name: str, reason: str) -> None:
    sentence = program.refused_render(portrait, name)
    assert re.search(reason, sentence), sentence


def pcm(rate: int, channels: int, kind: str) -> NDArray[Any]:
    """A fifth of a second of a tone on every channel."""
    samples = np.repeat(tone(0.2, rate)[:, np.newaxis], channels, axis=1)
    if kind == "uint8":
        return np.asarray(128 + samples * 127, np.uint8)
    return np.asarray(samples * 32767, np.int16)


@pytest.mark.parametrize(
    ("rate", "channels", "kind", "kept"),
    [
        (16_000, 8, "int16", 2),
        (192_000, 1, "int16", 1),
        (8_000, 1, "uint8", 1),
    ],
)
def test_an_odd_sound_works(
    program: Program, portrait: Path, rate: int, channels: int, kind: str, kept: int
) -> None:
    write_wav(Path("odd.wav"), pcm(rate, channels, kind), rate)
    program.done("render", "--avatar", portrait, "--audio", "odd.wav", "-o", "out.mp4")
    with open_audio("out.mp4") as sound:
        assert sound.channels == kept
        samples = np.concatenate([chunk.samples for chunk in sound])
    assert len(samples) / sound.sample_rate == pytest.approx(0.2, abs=0.001)
    assert 0.2 < np.abs(samples).max() < 0.8


def test_raw_samples_need_words_that_say_what_they_are(program: Program, portrait: Path) -> None:
    Path("speech.pcm").write_bytes(pcm(16_000, 2, "int16").tobytes())
    sentence = program.refused_render(portrait, "speech.pcm")
    assert "raw samples need --audio-format and --sample-rate" in sentence
    call = ("render", "--avatar", portrait, "--audio", "speech.pcm", "-o", "out.mp4")
    assert "needs --sample-rate" in program.refused(*call, "--audio-format", "s16le", status=2)
    assert "needs --audio-format" in program.refused(*call, "--sample-rate", "16000", status=2)
    words = ("--audio-format", "s16le", "--sample-rate", "16000", "--channels", "2")
    assert "5 frames, 0.20 s" in program.done(*call, *words).out


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_pipe_is_heard(
    program: Program, portrait: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, speech.read_bytes())
    call = ("render", "--avatar", portrait, "--audio", "-", "-o", "out.mp4")
    program.done(*call)
    with open_audio(speech) as sound, open_audio("out.mp4") as spoken:
        assert sum(map(len, spoken)) == sum(map(len, sound))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "standard input is empty; copy"),
        (b"RIFF", "standard input has no header .*--audio-format"),
        (b"RIFF" + bytes(100), "standard input has no header .*--audio-format"),
        (b"x" * 5000, "standard input holds more than 0 GiB; cut"),
    ],
)
def test_a_bad_pipe_is_refused(
    program: Program, portrait: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, reason: str
) -> None:
    monkeypatch.setattr("lipstream.cli.standard_input.MAX_BYTES", 4000)
    piped(monkeypatch, data)
    call = ("render", "--avatar", portrait, "--audio", "-", "-o", "out.mp4")
    assert re.search(reason, program.refused(*call))


def test_a_wrong_place_is_told_before_a_pipe_is_read(
    program: Program, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, bytes(100))
    call = ("render", "--avatar", portrait, "--audio", "-", "-o", "gone/out.mp4")
    assert "does not exist; create it first" in program.refused(*call)
    assert len(sys.stdin.buffer.read()) == 100


def test_a_terminal_is_no_pipe(
    program: Program, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, b"")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    call = ("render", "--avatar", portrait, "--audio", "-", "-o", "out.mp4")
    assert "nothing is piped into it" in program.refused(*call, status=2)


def test_a_sound_shorter_than_a_frame_gives_one_frame(program: Program, portrait: Path) -> None:
    write_wav(Path("short.wav"), pcm(16_000, 1, "int16")[:100], 16_000)
    done = program.done("render", "--avatar", portrait, "--audio", "short.wav", "-o", "out.mp4")
    assert "1 frame" in done.out
