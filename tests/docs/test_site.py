"""The documentation becomes a site without a warning, with its Markdown beside it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import lipstream
from docs_site.llms import DESCRIPTIONS
from docs_site.pages import ROOT, SITE, navigation, page_names
from docs_site.reference import reference_page

REFERENCE = reference_page()


@pytest.mark.slow
def test_the_site_is_built_without_a_warning() -> None:
    pytest.importorskip("zensical")
    done = subprocess.run(
        [sys.executable, "-m", "docs_site"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for name in navigation().values():
        assert (SITE / name).is_file() and (SITE / name).with_suffix(".html").is_file()
        page = (SITE / name).with_suffix(".html").read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?:[^\"]+)", page)
        assert loaded == [], "nothing may come from elsewhere"
    for title, name in re.findall(r"- \[(.+?)\]\((.+?)\)", (SITE / "llms.txt").read_text()):
        assert navigation()[title] == name


def test_every_page_is_in_the_navigation_and_described() -> None:
    shown = set(navigation().values())
    assert shown == {*page_names().values(), "reference.md"} == set(DESCRIPTIONS)


def test_the_reference_has_every_public_name() -> None:
    sections = set(re.findall(r"^### (\w+)$", REFERENCE, re.MULTILINE))
    assert sections == set(lipstream.__all__)
    assert "#### Session.say\n" in REFERENCE and "| `level` | `MotionLevel` |" in REFERENCE


def test_the_reference_is_signatures_as_they_are_written() -> None:
    assert "def open_avatar(\n    path: str | Path,\n" in REFERENCE
    assert "backend: str = 'auto',\n    *,\n    fps:" in REFERENCE
    assert " object at 0x" not in REFERENCE
