"""`lipstream demo`: what is in the package is enough."""

from __future__ import annotations

from typing import Any

import av
import pytest

from lipstream.cli import demo
from lipstream.cli.serve import serve
from tests.cli.program import Program


def test_the_bundled_face_says_the_bundled_sentence(program: Program) -> None:
    program.done("demo", "--render-only", "-o", "talk.mp4")
    with av.open(str(program.folder / "talk.mp4")) as movie:
        assert [stream.type for stream in movie.streams] == ["video", "audio"]
        assert float(movie.duration or 0) / av.time_base > 5


def test_an_option_of_serve_is_looked_at_before_anything_is_made(program: Program) -> None:
    assert "--prt" in program.refused("demo", "--prt", "8081", status=2)
    assert "65536" in program.refused("demo", "--port", "65536", status=2)


def test_its_options_go_on_to_the_server(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(serve, "callback", lambda **options: given.append(options))
    program.done("demo", "--max-sessions", "3")
    ((name, path),) = given[0]["avatars"]
    assert (name, path, given[0]["max_sessions"]) == (demo.NAME, demo.FACE, 3)


def test_the_face_is_small() -> None:
    assert demo.FACE.stat().st_size < 100_000
