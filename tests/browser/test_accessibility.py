"""The page by axe-core: no findings, live or idle, light or dark, large or small."""

from __future__ import annotations

import itertools
from importlib.resources import files
from typing import Any, Literal

import pytest

from tests.browser.viewer_page import ViewerPage

pytestmark = [pytest.mark.alone, pytest.mark.slow]

AXE = files("axe_playwright_python").joinpath("axe.min.js")  # the wheel brings the script
FINDINGS = """async () => (await axe.run()).violations.map(
  ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`
)"""
SIZES = ((390, 844), (1280, 860))
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TARGETS = "button, select, textarea, input[type=range], summary"
SMALL = """(targets) => [...document.querySelectorAll(targets)]
  .filter((part) => part.checkVisibility())
  .map((part) => ({ id: part.id || part.className, box: part.getBoundingClientRect() }))
  .filter(({ box }) => box.width < 44 || box.height < 44)
  .map(({ id, box }) => `${id} ${box.width} x ${box.height}`)"""


async def examine(viewer: ViewerPage) -> None:
    """Look for findings in every size and colour scheme."""
    page = viewer.page
    await page.evaluate(AXE.read_text())
    found: dict[str, Any] = {}
    for (width, height), scheme in itertools.product(SIZES, SCHEMES):
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        findings = await page.evaluate(FINDINGS)
        across = await page.evaluate("document.documentElement.scrollWidth")
        small = await page.evaluate(SMALL, TARGETS)
        if findings or small or across > width:
            found[f"{width} {scheme}"] = (findings, small, across)
    assert found == {}


async def test_the_idle_page_has_no_findings(viewer: ViewerPage) -> None:
    await examine(viewer)


async def test_the_live_page_has_no_findings(viewer: ViewerPage) -> None:
    await viewer.start()
    await viewer.page.click("#captions")
    await examine(viewer)


async def test_the_form_for_the_token_and_a_failed_upload_have_no_findings(
    viewer: ViewerPage,
) -> None:
    form = "document.getElementById('token-form').hidden = "
    await viewer.page.evaluate(f"() => {{ {form} false; }}")
    await viewer.page.set_input_files(
        "#avatar-file", {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    await viewer.page.wait_for_selector(".notices.refused")
    await examine(viewer)
