"""The page as its users meet it: what they press, what they are told."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from tests.browser.service import TOKEN, Service
from tests.browser.stage import Stage
from tests.browser.viewer import AVATAR, PATIENCE, Viewer

pytestmark = pytest.mark.alone

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
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


async def drop(viewer: Viewer, file: Path, kind: str) -> None:
    data = base64.b64encode(read(file)).decode()
    await viewer.page.evaluate(DROP, {"name": file.name, "type": kind, "data": data})


def read(file: Path) -> bytes:
    return file.read_bytes()


def test_a_wrong_token_is_refused_and_can_be_typed_again(stage: Stage, service: Service) -> None:
    async def scene() -> None:
        context = await stage.browser.new_context()
        page = await context.new_page()
        viewer = Viewer(page, context)
        await page.goto(service.address)
        await page.wait_for_selector("#token-form:not([hidden])")
        assert not await page.is_visible("#people")
        await page.fill("#token", "not-this-one")
        await page.keyboard.press("Enter")
        await viewer.page.wait_for_selector("#token-refused >> text=not accepted")
        await page.fill("#token", TOKEN)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".card img[src]", timeout=PATIENCE)
        assert await page.is_hidden("#token-form")
        await page.reload()  # this tab remembers it
        await page.wait_for_selector(".card img[src]", timeout=PATIENCE)
        stored = await page.evaluate(
            "[localStorage.length, document.cookie, sessionStorage.length]"
        )
        assert stored == [0, "", 1]
        await viewer.close()

    stage.run(scene())


def test_an_uploaded_picture_is_prepared_and_judged(stage: Stage, service: Service) -> None:
    async def scene() -> None:
        viewer = await Viewer.open(stage.browser, service.address, service.token)
        await viewer.page.set_input_files("#avatar-file", EXAMPLES / "portrait.png")
        await viewer.page.wait_for_selector(".card.waiting progress", timeout=PATIENCE)
        await viewer.page.wait_for_selector(
            ".card:has(input:checked) >> text=portrait", timeout=60_000
        )
        report = await viewer.page.inner_text("#report")
        assert "512 × 512" in report and "mouth is open" in report
        assert await viewer.page.evaluate(f"{AVATAR}.getAttribute('avatar')") != "Eileen"
        await viewer.page.click(".remove")
        await viewer.page.click(".remove.sure")
        await viewer.page.wait_for_selector(".card:has(input:checked) >> text=Eileen")
        await viewer.close()
        assert viewer.errors == []

    stage.run(scene())


def test_a_picture_without_a_face_is_explained(
    stage: Stage, service: Service, tmp_path: Path
) -> None:
    import cv2
    import numpy as np

    grey = tmp_path / "nobody.png"
    cv2.imwrite(str(grey), np.full((256, 256, 3), 128, np.uint8))

    async def scene() -> None:
        viewer = await Viewer.open(stage.browser, service.address, service.token)
        await drop(viewer, grey, "image/png")
        reason = await viewer.page.wait_for_selector(".card.failed .reason", timeout=60_000)
        assert reason is not None
        assert "no face was found" in (await reason.inner_text()).lower()
        await viewer.page.click(".card.failed button")
        await viewer.page.wait_for_selector(".card.failed", state="detached")
        await viewer.close()

    stage.run(scene())


def test_a_file_of_another_kind_is_refused(stage: Stage, service: Service, tmp_path: Path) -> None:
    text, liar = tmp_path / "notes.txt", tmp_path / "liar.png"
    text.write_text("hello")
    liar.write_text("this is no picture")

    async def scene() -> None:
        viewer = await Viewer.open(stage.browser, service.address, service.token)
        await drop(viewer, text, "text/plain")
        await viewer.notice("neither a picture")
        await drop(viewer, EXAMPLES / "speech.wav", "audio/wav")
        await viewer.notice("Press start first")
        await viewer.page.set_input_files("#avatar-file", liar)
        await viewer.page.wait_for_selector(".notices.refused", timeout=PATIENCE)
        await viewer.close()

    stage.run(scene())


def test_a_full_server_says_when_to_come_back(stage: Stage, service: Service) -> None:
    async def scene() -> None:
        first = await Viewer.open(stage.browser, service.address, service.token)
        second = await Viewer.open(stage.browser, service.address, service.token)
        await first.start()
        await second.page.click("#toggle")
        await second.notice("Try again in")
        assert (await second.page.inner_text("#countdown")).startswith("Try again in")
        await second.state("idle")
        await first.page.click("#toggle")
        await first.state("idle")
        await service.settled()
        await second.start()
        assert await second.page.inner_text("#notice") == ""
        await second.close()
        await first.close()
        await service.settled()

    stage.run(scene())


def test_a_dropped_sound_is_spoken_and_escape_interrupts(stage: Stage, service: Service) -> None:
    async def scene() -> None:
        viewer = await Viewer.open(stage.browser, service.address, service.token)
        await viewer.start()
        await viewer.watch()
        await drop(viewer, EXAMPLES / "speech.wav", "audio/wav")
        await viewer.page.wait_for_function(
            "() => document.getElementById('pill').textContent === 'Speaking'", timeout=PATIENCE
        )
        assert await viewer.until(lambda now: len(now.opened) > 0, 5)
        await viewer.page.keyboard.press("Escape")
        await viewer.page.wait_for_function(
            "() => document.getElementById('pill').textContent === 'Live'", timeout=2_000
        )
        opened = len((await viewer.record()).opened)
        await asyncio.sleep(0.5)
        assert len((await viewer.record()).opened) == opened
        await viewer.close()
        assert viewer.errors == []
        await service.settled()

    stage.run(scene())


def test_a_blocked_microphone_is_explained(stage: Stage, service: Service) -> None:
    async def scene() -> None:
        viewer = await Viewer.open(stage.browser, service.address, service.token)
        await viewer.page.evaluate(f"() => {{ {NO_MICROPHONE} }}")
        await viewer.start()
        await viewer.page.click("#microphone")
        await viewer.notice("microphone is blocked")
        assert await viewer.page.get_attribute("#microphone", "aria-pressed") == "false"
        await viewer.close()
        await service.settled()

    stage.run(scene())


def test_all_can_be_done_with_the_keyboard(stage: Stage, service: Service) -> None:
    async def scene() -> None:
        viewer = await Viewer.open(stage.browser, service.address, service.token)
        reached = []
        for _ in range(12):
            await viewer.page.keyboard.press("Tab")
            reached.append(await viewer.page.evaluate(FOCUSED))
        assert "toggle" in reached and "Eileen" in reached, reached
        await viewer.start("Enter")
        for name in ("microphone", "sound", "interrupt"):
            await viewer.page.keyboard.press("Tab")
            assert await viewer.page.evaluate("document.activeElement.id") == name
        await viewer.close()
        await service.settled()

    stage.run(scene())


def test_leaving_the_page_frees_the_place_at_once(stage: Stage, service: Service) -> None:
    async def scene() -> None:
        viewer = await Viewer.open(stage.browser, service.address, service.token)
        await viewer.start()
        await viewer.page.goto("about:blank")
        for _ in range(30):
            if await service.sessions() == 0:
                break
            await asyncio.sleep(0.1)
        assert await service.sessions() == 0
        await viewer.close()

    stage.run(scene())


def test_nothing_comes_from_elsewhere(stage: Stage, service: Service) -> None:
    async def scene() -> None:
        context = await stage.browser.new_context()
        page = await context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        viewer = Viewer(page, context)
        await page.goto(service.address)
        await page.wait_for_selector("#token-form:not([hidden])")
        assert asked and all(url.startswith((service.address, "blob:")) for url in asked)
        policy = await page.evaluate(
            "fetch('/').then((r) => r.headers.get('content-security-policy'))"
        )
        assert policy.startswith("default-src 'self';") and "unsafe" not in policy
        await viewer.close()
        assert viewer.errors == []

    stage.run(scene())
