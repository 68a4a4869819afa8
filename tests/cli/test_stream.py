"""`lipstream stream`: what is refused before anything is drawn."""

from __future__ import annotations

import pytest

from tests.cli.program import Program


@pytest.mark.parametrize(
    "call",
    [
        ["--to", "https://user:secret@example.org/whip"],
        ["--to", "rtmp://example.org/live/secret", "--push-token", "secret"],
        ["--to", "ftp://example.org/secret"],
    ],
)
def test_a_wrong_address_is_refused_and_not_repeated(program: Program, call: list[str]) -> None:
    said = program.refused("stream", "--avatar", "a.png", *call, status=2)
    assert "secret" not in said and said.startswith("--")
