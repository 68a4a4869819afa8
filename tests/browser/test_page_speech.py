"""What the page says and shows of it: the text box, the sample, captions, sound, recording."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.browser.server_process import ServerProcess
from tests.browser.viewer_page import AVATAR, TIMEOUT_MS, ViewerPage

if TYPE_CHECKING:
    from playwright.async_api import Route

pytestmark = pytest.mark.alone

CAPTION = f"{AVATAR}.shadowRoot.querySelector('.captions').textContent"
KEEP_EVENTS = f"""() => {{
  window.said = [];
  {AVATAR}.addEventListener('speech', ({{ detail }}) => said.push(detail.type));
}}"""


async def spoken(viewer: ViewerPage, times: int) -> None:
    """Wait until so many utterances were spoken to their end."""
    await viewer.page.wait_for_function(
        "(times) => said.filter((type) => type === 'ended').length >= times",
        arg=times,
        timeout=TIMEOUT_MS,
    )


async def test_a_typed_line_is_said_and_captioned(viewer: ViewerPage) -> None:
    page = viewer.page
    await viewer.start()
    await page.evaluate(KEEP_EVENTS)
    await page.click("#captions")
    await page.click("#text")
    await page.keyboard.type("hello")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("you")
    assert await page.input_value("#text") == "hello\nyou"
    await page.fill("#text", "hello to all of you who read along while this is said")
    await page.keyboard.press("Enter")
    assert await page.input_value("#text") == ""
    await page.wait_for_function(f"() => {CAPTION}.startsWith('hello to all')", timeout=TIMEOUT_MS)
    await spoken(viewer, 1)
    await page.click("#sample")
    await spoken(viewer, 2)
    assert viewer.errors == []


async def test_a_typed_line_starts_the_session_and_comes_back_when_that_is_refused(
    viewer: ViewerPage,
) -> None:
    page = viewer.page
    refusal = {"status": 503, "json": {"error": {"code": "full", "message": "no place."}}}
    await page.route("**/v1/sessions", lambda route: route.fulfill(**refusal))
    await page.fill("#text", "hello")
    await page.click("#say")
    await viewer.notice("No place.")
    assert await page.input_value("#text") == "hello"
    await page.unroute("**/v1/sessions")
    await page.evaluate(KEEP_EVENTS)
    await page.click("#say")
    await viewer.live_or_refused()
    if await page.evaluate(f"{AVATAR}.state") != "live":  # the server was busy just now
        await viewer.start()
        await page.click("#say")
    await spoken(viewer, 1)
    assert await page.is_enabled("#interrupt")


@pytest.mark.full
async def test_a_server_without_a_voice_says_so(viewer: ViewerPage) -> None:
    async def voiceless(route: Route) -> None:
        answer = await route.fetch()
        config = {**await answer.json(), "say": False, "voices": []}
        await route.fulfill(response=answer, body=json.dumps(config))

    page = viewer.page
    await page.route("**/v1/config", voiceless)
    await page.reload()
    await page.wait_for_selector(".card img[src]", timeout=TIMEOUT_MS)
    await page.unroute("**/v1/config")  # a page that is routed cannot end its session as it goes
    assert await page.is_hidden("#composer")
    assert "no voice for text" in await page.inner_text("#hint")
    await viewer.start()
    await page.evaluate(KEEP_EVENTS)
    await page.click("#sample")
    await spoken(viewer, 1)


async def test_sound_and_captions_are_remembered(viewer: ViewerPage) -> None:
    page = viewer.page
    await page.click("#mute")
    await page.click("#captions")
    await page.reload()
    await page.wait_for_selector(".card img[src]", timeout=TIMEOUT_MS)
    assert await page.evaluate(f"[{AVATAR}.muted, {AVATAR}.hasAttribute('captions')]") == [
        True,
        True,
    ]
    await page.fill("#volume", "40")  # to turn it up is to want to hear
    assert await page.evaluate(f"[{AVATAR}.muted, {AVATAR}.volume]") == [False, 0.4]


async def test_full_screen_shows_the_picture_and_its_tools(viewer: ViewerPage) -> None:
    page = viewer.page
    await page.click("#full")
    await page.wait_for_selector("#full[aria-pressed=true]", timeout=TIMEOUT_MS)
    boxes = [await page.locator(part).bounding_box() for part in ("#avatar", "#full")]
    width, height = await page.evaluate("[innerWidth, innerHeight]")
    assert boxes[0] is not None and boxes[1] is not None
    assert boxes[0]["width"] == width and boxes[0]["height"] < height
    assert boxes[1]["y"] + boxes[1]["height"] <= height
    await page.click("#full")
    await page.wait_for_selector("#full[aria-pressed=false]", timeout=TIMEOUT_MS)


async def test_what_is_seen_can_be_recorded(viewer: ViewerPage) -> None:
    page = viewer.page
    assert await page.is_disabled("#record")
    await viewer.start()
    await page.click("#record")
    await page.wait_for_function(
        "() => document.getElementById('recorded').textContent >= '00:01'", timeout=TIMEOUT_MS
    )
    async with page.expect_download(timeout=TIMEOUT_MS) as downloading:
        await page.click("#record")
    download = await downloading.value
    assert download.suggested_filename.startswith("face (AI-generated).")
    path = await download.path()
    assert path.stat().st_size > 1_000
    assert await page.get_attribute("#record", "aria-pressed") == "false"


async def test_the_microphones_device_can_be_chosen(viewer: ViewerPage) -> None:
    page = viewer.page
    await viewer.start()
    assert await page.is_hidden("#devices")
    await page.click("#microphone")
    await page.wait_for_selector("#devices:not([hidden])", timeout=TIMEOUT_MS)
    labels = await page.eval_on_selector_all("#device option", "(all) => all.map((o) => o.label)")
    assert len(labels) > 1 and all(labels)
    await page.select_option("#device", index=len(labels) - 1)
    await page.click("#microphone")
    await page.wait_for_selector("#microphone[aria-pressed=false]", timeout=TIMEOUT_MS)


async def test_the_token_is_in_no_attribute(viewer: ViewerPage, server: ServerProcess) -> None:
    assert server.token not in await viewer.page.content()
