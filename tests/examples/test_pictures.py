"""The bundled pictures: what a newcomer sees first must work without a word of warning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lipstream.avatar.builder import build_avatar
from lipstream.cli.demo import FACE

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def demo_avatars() -> list[Path]:
    """The files that scripts/demo shows, in their order: that of `lipstream demo` is the first."""
    script = (ROOT / "scripts" / "demo").read_text(encoding="utf-8")
    assert "lipstream demo " in script
    return [FACE, *(ROOT / name for name in re.findall(r"--avatar (?:\w+=)?(\S+)", script))]


def test_the_demo_begins_with_a_picture_that_needs_no_warning() -> None:
    assert build_avatar(demo_avatars()[0]).report.warnings == ()


def test_the_demo_offers_two_people_and_a_clip() -> None:
    assert [path.name for path in demo_avatars()] == ["face.jpg", "painting.jpg", "idle.mp4"]


@pytest.mark.parametrize("name", ["portrait.png", "portrait_closed.png", "painting.jpg"])
def test_every_picture_is_small_and_its_origin_is_told(name: str) -> None:
    assert (EXAMPLES / name).stat().st_size < 500_000
    table = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    row = next(line for line in table.splitlines() if line.startswith(f"| `{name}`"))
    assert "public domain" in row
