"""The bundled pictures: what a newcomer sees first must work without a word of warning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lipstream.avatar.builder import build_avatar

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def demo_avatars() -> list[Path]:
    """The files that scripts/demo gives to --avatar, in their order."""
    script = (ROOT / "scripts" / "demo").read_text(encoding="utf-8")
    return [ROOT / name for name in re.findall(r"--avatar (?:\w+=)?(\S+)", script)]


def test_the_demo_begins_with_a_picture_that_needs_no_warning() -> None:
    assert build_avatar(demo_avatars()[0]).report.warnings == ()


def test_the_demo_offers_two_people_and_a_clip() -> None:
    first, *offered = demo_avatars()
    assert first == offered[0]
    assert [path.name for path in offered] == ["portrait_closed.png", "painting.jpg", "idle.mp4"]


@pytest.mark.parametrize("name", ["portrait.png", "portrait_closed.png", "painting.jpg"])
def test_every_picture_is_small_and_its_origin_is_told(name: str) -> None:
    assert (EXAMPLES / name).stat().st_size < 500_000
    table = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    row = next(line for line in table.splitlines() if line.startswith(f"| `{name}`"))
    assert "public domain" in row
