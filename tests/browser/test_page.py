"""The page as its users meet it: controls, notices, uploads, the keyboard."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from tests.browser.chromium import Chromium
from tests.browser.server_process import TOKEN, ServerProcess
from tests.browser.viewer_page import AVATAR, TIMEOUT_MS, ViewerPage

if TYPE_CHECKING:
    from playwright.async_api import Route

pytestmark = pytest.mark.alone

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SPEECH = EXAMPLES / "speech.wav"
DROP = """
  ({ name, type, data }) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name, { type }));
    for (const kind of ['dragenter', 'dragover', 'drop']) {
      const event = new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
      document.body.dispatchEvent(event);
    }
  }
"""
FOCUSED = "document.activeElement.id || document.activeElement.value"
NO_MICROPHONE = """
  navigator.mediaDevices.getUserMedia = () =>
    Promise.reject(new DOMException('denied', 'NotAllowedError'));
"""


async def drop(viewer: ViewerPage, data: bytes, name: str, kind: str) -> None:
    """Drop a file on the page."""
    encoded = base64.b64encode(data).decode()
    await viewer.page.evaluate(DROP, {"name": name, "type": kind, "data": encoded})


async def test_a_wrong_token_is_refused_and_can_be_typed_again(
    blank: ViewerPage, server: ServerProcess
) -> None:
    page = blank.page
    await page.goto(server.address)
    await page.wait_for_selector("#token-form:not([hidden])")
    assert not await page.is_visible("#avatars")
    await page.fill("#token", "not-this-one")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#token-refused >> text=not accepted")
    await page.fill("#token", TOKEN)
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".card img[src]", timeout=TIMEOUT_MS)
    assert await page.is_hidden("#token-form")
    await page.reload()  # this tab remembers it
    await page.wait_for_selector(".card img[src]", timeout=TIMEOUT_MS)
    stored = await page.evaluate("[localStorage.length, document.cookie, sessionStorage.length]")
    assert stored == [0, "", 1]


async def test_an_uploaded_picture_is_prepared_and_judged(
    chromium: Chromium, viewer: ViewerPage, server: ServerProcess
) -> None:
    await viewer.page.set_input_files("#avatar-file", EXAMPLES / "portrait.png")
    await viewer.page.wait_for_selector(".card.waiting progress", timeout=TIMEOUT_MS)
    await viewer.page.wait_for_selector(".card:has(input:checked) >> text=portrait", timeout=60_000)
    report = await viewer.page.inner_text("#report")
    assert "512 × 512" in report and "mouth is open" in report
    assert await viewer.page.evaluate(f"{AVATAR}.getAttribute('avatar')") != "face"
    await viewer.page.reload()
    await viewer.page.wait_for_selector(".card >> text=portrait", timeout=TIMEOUT_MS)
    stranger = await ViewerPage.blank(chromium.browser)
    await stranger.open(server.address, server.token)
    assert await stranger.page.locator(".card .name", has_text="portrait").count() == 0
    await viewer.page.click(".remove")
    await viewer.page.click(".remove.confirm")
    await viewer.page.wait_for_selector(".card:has(input:checked) >> text=face")
    await viewer.page.wait_for_selector(".card >> text=portrait", state="detached")
    assert viewer.errors == []


async def test_a_picture_without_a_face_is_explained(viewer: ViewerPage) -> None:
    grey = cv2.imencode(".png", np.full((256, 256, 3), 128, np.uint8))[1].tobytes()
    await drop(viewer, grey, "grey.png", "image/png")
    reason = await viewer.page.wait_for_selector(".card.failed .reason", timeout=60_000)
    assert reason is not None
    assert "no face was found" in (await reason.inner_text()).lower()
    await viewer.page.get_by_role("button", name="Remove grey").click()
    await viewer.page.wait_for_selector(".card.failed", state="detached")


async def test_a_file_of_another_kind_is_refused(viewer: ViewerPage, tmp_path: Path) -> None:
    liar = tmp_path / "liar.png"
    liar.write_text("this is no picture")
    await drop(viewer, b"hello", "notes.txt", "text/plain")
    await viewer.notice("neither a picture")
    assert (await viewer.page.inner_text("#notice")).startswith("notes.txt is")
    await viewer.page.set_input_files("#avatar-file", liar)
    await viewer.page.wait_for_selector(".notices.refused", timeout=TIMEOUT_MS)
    await drop(viewer, (EXAMPLES / "portrait_closed.png").read_bytes(), "good.PNG", "")
    await viewer.page.wait_for_selector(".card.waiting", timeout=TIMEOUT_MS)
    assert await viewer.page.inner_text("#notice") == ""  # a refusal goes when another begins
    await viewer.page.wait_for_selector(".card:has(input:checked) >> text=good", timeout=60_000)
    await viewer.page.focus(".remove")
    await viewer.page.keyboard.press("Enter")
    assert "Press again" in await viewer.page.inner_text("#status")
    assert "Press again" in str(await viewer.page.get_attribute(".remove", "aria-label"))
    await viewer.page.keyboard.press("Enter")
    await viewer.page.wait_for_selector(".card >> text=good", state="detached")
    assert await viewer.page.evaluate("document.activeElement !== document.body")


async def test_a_full_server_says_when_to_come_back(
    chromium: Chromium, viewer: ViewerPage, server: ServerProcess
) -> None:
    second = await ViewerPage.blank(chromium.browser)
    await second.open(server.address, server.token)
    await viewer.start()
    others = [await server.open_session("face") for _ in range(await server.places() - 1)]
    await second.page.click("#toggle")
    await second.notice("Try again in")
    assert (await second.page.inner_text("#countdown")).startswith("Try again in")
    await second.state("idle")
    await viewer.page.click("#toggle")
    await viewer.state("idle")
    for other in others:
        await server.end(other["id"])
    await server.wait_until_free()
    await second.start()
    assert await second.page.inner_text("#notice") == ""
    await second.close()


async def test_a_sound_dropped_before_the_start_is_spoken_and_escape_interrupts(
    viewer: ViewerPage,
) -> None:
    # Where the server has no place for a while, the drop is refused: start by hand and drop again.
    await drop(viewer, SPEECH.read_bytes(), SPEECH.name, "audio/wav")
    await viewer.live_or_refused()
    if await viewer.page.evaluate(f"{AVATAR}.state") != "live":
        await viewer.start()
        await drop(viewer, SPEECH.read_bytes(), SPEECH.name, "audio/wav")
    await viewer.watch()
    await viewer.page.wait_for_function(
        "() => document.getElementById('pill').textContent === 'Speaking'", timeout=TIMEOUT_MS
    )
    assert await viewer.until(lambda now: len(now.opened) > 0, 5)
    await viewer.page.keyboard.press("Escape")
    await viewer.page.wait_for_function(
        "() => document.getElementById('pill').textContent === 'Live'", timeout=2_000
    )
    opened = len((await viewer.record()).opened)
    await asyncio.sleep(0.5)
    assert len((await viewer.record()).opened) == opened
    assert viewer.errors == []


async def test_a_blocked_microphone_is_explained(viewer: ViewerPage) -> None:
    await viewer.page.evaluate(f"() => {{ {NO_MICROPHONE} }}")
    await viewer.start()
    await viewer.page.click("#microphone")
    await viewer.notice("microphone is blocked")
    assert await viewer.page.get_attribute("#microphone", "aria-pressed") == "false"


async def test_all_can_be_done_with_the_keyboard(viewer: ViewerPage) -> None:
    page = viewer.page
    reached = []
    for _ in range(16):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate(FOCUSED))
    wanted = {"mute", "volume", "captions", "text", "toggle", "microphone", "sample", "face"}
    assert wanted <= set(reached), reached
    await viewer.start("Enter")
    for name in ("microphone", "sound", "sample", "interrupt"):
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.id") == name
    await page.focus("input[value=face]")
    await page.keyboard.press("ArrowRight")  # while live it only moves on
    assert await page.evaluate("document.activeElement.value") == "wide"
    assert await page.is_checked("input[value=face]")


async def test_another_avatar_takes_the_place_of_the_one_that_is_live(viewer: ViewerPage) -> None:
    """The server has one place, so it must be given from one to the other."""
    page = viewer.page
    await viewer.start()
    first = await viewer.session_id()
    await page.click(".card:has(input[value=wide])")
    await page.wait_for_function(
        f"(first) => {AVATAR}.state === 'live' && {AVATAR}.session.id !== first",
        arg=first,
        timeout=TIMEOUT_MS,
    )
    assert await page.evaluate("location.search") == "?avatar=wide"
    second = await viewer.session_id()
    # Refused, the one that is live goes on, and the page says and shows so.
    refusal = {"status": 503, "json": {"error": {"code": "full", "message": "no place."}}}
    await page.route("**/v1/sessions", lambda route: route.fulfill(**refusal))
    await page.click(".card:has(input[value=face])")
    await viewer.notice("No place.")
    await page.unroute("**/v1/sessions")  # a page that is routed cannot end its session as it goes
    assert await page.is_checked("input[value=wide]")
    assert await viewer.session_id() == second
    assert await page.evaluate(f"{AVATAR}.state") == "live"
    assert await page.evaluate("location.search") == "?avatar=wide"


async def test_a_choice_that_is_refused_does_not_undo_a_later_one(viewer: ViewerPage) -> None:
    page = viewer.page
    await viewer.start()
    refusal = {"error": {"code": "full", "message": "no place."}}
    asked, chosen = asyncio.Event(), asyncio.Event()

    async def refuse_late(route: Route) -> None:
        asked.set()
        await chosen.wait()
        await route.fulfill(status=503, json=refusal)

    await page.route("**/v1/sessions", refuse_late, times=1)
    await page.click(".card:has(input[value=wide])")
    await asked.wait()
    await page.click(".card:has(input[value=tall])")
    chosen.set()
    await page.wait_for_function(
        f"() => {AVATAR}.state === 'live' && {AVATAR}.session.avatar === 'tall'",
        timeout=TIMEOUT_MS,
    )
    assert await page.is_checked("input[value=tall]")
    assert await page.evaluate("location.search") == "?avatar=tall"
    assert await page.get_attribute("#avatar", "avatar") == "tall"


async def test_a_wide_picture_is_shown_whole_and_its_card_around_the_face(
    viewer: ViewerPage,
) -> None:
    page = viewer.page
    await page.goto(f"{page.url.partition('?')[0]}?avatar=wide")  # a link chooses
    await page.wait_for_selector("input[value=wide]:checked", timeout=TIMEOUT_MS)
    box = await (await page.query_selector_all(".viewport"))[0].bounding_box()
    assert box is not None and abs(box["width"] / box["height"] - 2) < 0.02
    place = "getComputedStyle(document.querySelector('.card:has([value=wide]) img')).objectPosition"
    assert float((await page.evaluate(place)).partition("%")[0]) < 20


async def test_a_link_to_an_avatar_that_is_gone_is_explained(viewer: ViewerPage) -> None:
    await viewer.page.goto(f"{viewer.page.url.partition('?')[0]}?avatar=nobody")
    await viewer.notice("not here any more")
    assert await viewer.page.is_checked("input[value=face]")


async def test_leaving_the_page_ends_the_session_at_once(
    viewer: ViewerPage, server: ServerProcess
) -> None:
    await viewer.start()
    await viewer.page.goto("about:blank")
    await server.wait_until_free(within_s=3)
    assert await server.sessions() == 0


async def test_nothing_comes_from_elsewhere(blank: ViewerPage, server: ServerProcess) -> None:
    page = blank.page
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    await page.goto(server.address)
    await page.wait_for_selector("#token-form:not([hidden])")
    assert requested and all(url.startswith((server.address, "blob:")) for url in requested)
    policy = await page.evaluate("fetch('/').then((r) => r.headers.get('content-security-policy'))")
    assert policy.startswith("default-src 'self';") and "unsafe" not in policy
    assert blank.errors == []
