"""`lipstream stream`: what is refused before anything is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import Program


@pytest.mark.parametrize(
    "call",
    [
        ["--to", "https://user:secret@example.org/whip"],
        ["--to", "rtmp://example.org/live/secret", "--push-token", "secret"],
        ["--to", "ftp://example.org/secret"],
        ["--to", "/dev/video0", "--push-token", "secret"],
    ],
)
def test_a_wrong_address_is_refused_and_not_repeated(program: Program, call: list[str]) -> None:
    said = program.refused("stream", "--avatar", "a.png", *call, status=2)
    assert "secret" not in said and said.startswith("--")


def test_a_device_that_is_no_camera_is_refused(program: Program, portrait: Path) -> None:
    said = program.refused("stream", "--avatar", str(portrait), "--to", "/dev/null")
    assert said == "/dev/null: it takes no pictures (Inappropriate ioctl for device); check --to."
