"""Pictures that are not square show their face, before and while they live."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lipstream.avatar.face.finder import FaceFinder
from tests.browser.server_process import ServerProcess
from tests.browser.site import Site
from tests.browser.test_element import ELEMENT, START, embed
from tests.browser.viewer_page import TIMEOUT_MS, ViewerPage

pytestmark = pytest.mark.alone

SHAPES = {"tall": (200, 400), "wide": (400, 200)}  # of the element in its own shape


def whole_faces(picture: bytes) -> int:
    """The number of faces of which all points are in the picture."""
    with Image.open(io.BytesIO(picture)) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    height, width = pixels.shape[:2]
    points = [face.landmarks[:, :2] for face in FaceFinder().find(pixels)]
    return sum(bool(((p > 0) & (p < (width, height))).all()) for p in points)


@pytest.mark.parametrize("avatar", SHAPES)
async def test_the_face_is_seen(
    blank: ViewerPage, server: ServerProcess, site: Site, avatar: str
) -> None:
    width, height = SHAPES[avatar]
    given = f'avatar="{avatar}" token="{server.token}" style="width: {width}px'
    page = await embed(blank, server, site, f'{given}; height: {width}px" fit="cover"')
    element = page.locator("lipstream-avatar")
    loaded = f"() => {ELEMENT}.shadowRoot.querySelector('img').naturalWidth"
    await page.wait_for_function(loaded, timeout=TIMEOUT_MS)
    assert whole_faces(await element.screenshot()) == 1
    await page.evaluate(START)
    shown = f"() => getComputedStyle({ELEMENT}.video).opacity === '1'"
    await page.wait_for_function(shown, timeout=TIMEOUT_MS)
    assert whole_faces(await element.screenshot()) == 1
    await page.evaluate(f"() => {{ {ELEMENT}.style.height = ''; }}")
    assert await page.evaluate(f"{ELEMENT}.offsetHeight") == height
    assert whole_faces(await element.screenshot()) == 1
