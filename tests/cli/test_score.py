"""`lipstream score`: what it prints, draws and refuses; the figures have tests of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lipstream.score.files import Scored
from lipstream.score.judgement import judge
from tests.cli.program import Program
from tests.score.conftest import EXAMPLES, heard, saying


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Scored:
    """Every video is taken for one in which the example's sentence is said."""
    spoken = heard(EXAMPLES / "speech.wav")
    mouth = saying(spoken)
    scored = Scored(judge(mouth, spoken), mouth, spoken, 0.0)
    monkeypatch.setattr("lipstream.score.files.score_video", lambda *files: scored)
    return scored


def test_a_table_and_a_verdict(program: Program, judged: Scored, clip: Path) -> None:
    lines = program.done("score", clip).out.splitlines()
    assert lines[-1] == "in sync"
    assert any(line.startswith("closures seen") for line in lines)


def test_json_and_a_plot(program: Program, judged: Scored, clip: Path) -> None:
    done = program.done("score", clip, "--json", "--plot", "talk.png")
    assert json.loads(done.out)["verdict"] == "in sync"
    assert Path("talk.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_is_named_before_any_work(program: Program, clip: Path) -> None:
    assert "only .png files" in program.refused("score", clip, "--plot", "talk.mp4", status=2)
    sentence = program.refused("score", clip, "--plot", "missing/talk.png")
    assert "does not exist" in sentence


def test_an_input_is_not_written_over(program: Program, portrait: Path) -> None:
    picture = Path("face.png")
    picture.write_bytes(portrait.read_bytes())
    assert "also an input" in program.refused("score", picture, "--plot", picture, status=2)


def test_what_cannot_be_scored_is_named(program: Program, clip: Path, speech: Path) -> None:
    assert "a score needs 2 s" in program.refused("score", clip)
    assert "no video track" in program.refused("score", speech)
    assert "gone.mp4" in program.refused("score", "gone.mp4")
