"""The page of the examples that talk: its microphone, the face, and what is shown below it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser.chromium import Chromium
from tests.browser.server_process import TOKEN, start_server
from tests.examples.talk_stage import example, served
from tests.media_files import tone
from tests.server.app_client import until

pytestmark = pytest.mark.alone

PORTRAIT = Path(__file__).resolve().parents[2] / "examples/portrait_closed.png"
ELEMENT = "document.querySelector('lipstream-avatar')"
RATE = 24_000


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


async def test_the_microphone_is_heard_and_the_face_speaks(
    chromium: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPSTREAM_TOKEN", TOKEN)
    talk_page, port = example("talk_page"), free_port()
    heard = bytearray()
    events: list[str] = []
    page_errors: list[str] = []

    async def converse(viewer: Any, face: Any) -> None:
        async def take(event: dict[str, Any]) -> None:
            events.append(event["type"])

        async def listen() -> None:
            async for pcm in viewer.microphone(RATE):
                heard.extend(pcm)
                if "spoken" not in events and len(heard) > RATE:  # half a second
                    events.append("spoken")
                    await viewer.send(type="answer", text="Hello")
                    await viewer.send(type="answer", text="there.")
                    await face.send((tone(0.4, RATE) * 20_000).astype("<i2").tobytes())
                    await face.end()

        await talk_page.first_to_end(face.run(take), listen())

    with start_server("--origin", f"http://127.0.0.1:{port}", f"face={PORTRAIT}") as server:
        app = talk_page.talk_app(server.address, "face", converse)
        async with served(app, port) as site:
            page = await chromium.browser.new_page()
            page.on("pageerror", lambda error: page_errors.append(str(error)))
            await page.goto(site)
            await page.click("button")
            await page.wait_for_selector(".answer, .trouble")
            assert not await page.query_selector(".trouble"), await page.inner_text("[role=log]")
            await until(lambda: "ended" in events)
            assert await page.evaluate(f"{ELEMENT}.state") == "live"
            assert await page.inner_text("[role=log]") == "Hello there."
            loud = np.abs(np.frombuffer(bytes(heard), "<i2").astype(np.int32)).max()
            assert loud > 500  # the browser's own test tone
            assert not page_errors and TOKEN not in await page.content()
            await page.click("button")
            await server.wait_until_free()
            await page.close()
