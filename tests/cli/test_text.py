"""`lipstream render --text`: a text is said, with its words beside the video."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipstream.speech.synthesis import spoken_text
from tests.cli.program import Program

pytest.importorskip("hibari")


def test_a_text_is_said_with_captions(program: Program, portrait: Path) -> None:
    Path("text.txt").write_text("\ufeffHello there.", "utf-8")
    call = ("render", "--avatar", portrait, "-o", "out.mp4", "--captions", "out.vtt")
    done = program.done(*call, "--text-file", "text.txt")
    assert ": 28 frames, 1.15 s" in done.out
    assert Path("out.vtt").read_text("utf-8") == (
        "WEBVTT\n\n00:00:00.050 --> 00:00:01.050\nHello there.\n"
    )


def test_a_provider_is_asked_for_a_model(
    program: Program, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str | None, str | None]] = []
    monkeypatch.setattr(
        spoken_text, "open_synthesizer", lambda tts, model: asked.append((tts, model))
    )
    options = ("--text", "Hello.", "--tts", "https://here", "--tts-model", "kokoro")
    program.call("render", "--avatar", portrait, "-o", "out.mp4", *options)
    assert asked == [("https://here", "kokoro")]


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--text", "hi", "--audio", "a.wav"], 2, "--audio and --text exclude each other"),
        ([], 2, "nothing is said: give --audio FILE, --text TEXT or --text-file FILE."),
        (["--audio", "a.wav", "--captions", "a.vtt"], 2, "--captions are those of a text"),
        (["--text", "hi", "--captions", "a.txt"], 2, "captions are written as .vtt or .srt"),
        (["--text", "hi", "--voice", "emma"], 2, "there is no voice 'emma'"),
        (["--text", "hi", "--tts", "piper"], 2, "there is no speech provider 'piper'"),
        (["--text", "hi", "--tts", "http://127.0.0.1:9"], 1, "cannot be reached"),
        (["--text-file", "talk.srt", "--captions", "talk.srt"], 2, "talk.srt is also an input"),
        (["--text-file", "none.txt"], 1, "none.txt cannot be read: no such file"),
        (["--text-file", "latin.txt"], 1, "latin.txt is no text in UTF-8"),
    ],
)
def test_what_cannot_be_said_is_one_sentence(
    program: Program, portrait: Path, options: list[str], status: int, message: str
) -> None:
    Path("latin.txt").write_bytes(b"caf\xe9")
    Path("talk.srt").write_text("Hello.")
    outcome = program.call("render", "--avatar", portrait, "-o", "out.mp4", *options)
    assert (outcome.status, outcome.out) == (status, "")
    assert message in outcome.err and len(outcome.err.splitlines()) == 1
    assert not list(Path().glob("*.mp4")) and not list(Path().glob("*.vtt"))
