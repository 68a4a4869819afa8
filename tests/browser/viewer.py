"""The product's page in the browser, with the probe that measures what it shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

PATIENCE = 30_000  # ms for anything that has to happen, on any machine
ATTEMPTS, BUSY = 8, 4  # times, and seconds between them, that a busy server is asked
# Keeps the page's connections where a test can break them.
PEERS = """
  window.peers = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...settings) { super(...settings); peers.push(this); }
  };
"""
AVATAR = "document.getElementById('avatar')"


@dataclass(frozen=True, slots=True)
class Record:
    """Times on the page's clock, ms, of what was seen and heard since the last `watch`."""

    now: float
    opened: list[float]
    closed: list[float]
    sounds: list[float]
    silences: list[float]
    counters: list[int]  # of all frames seen, in their order


class Viewer:
    """One page."""

    def __init__(self, page: Page, context: BrowserContext) -> None:
        self.page = page
        self.errors: list[str] = []  # of scripts, and what the content security policy refused
        self._context = context
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._said)

    @classmethod
    async def open(cls, browser: Browser, address: str, token: str = "", **context: Any) -> Viewer:
        """The page with its avatars, past the question for the token."""
        made = await browser.new_context(**context)
        await made.add_init_script(PEERS)
        viewer = cls(await made.new_page(), made)
        await viewer.page.goto(address)
        if token:
            await viewer.page.fill("#token", token)
            await viewer.page.click("#token-form button")
        await viewer.page.wait_for_selector(".card img[src]", timeout=PATIENCE)
        return viewer

    async def start(self, key: str = "") -> None:
        """Press start, or `key` on it, and wait until media flows.

        A server that has been short of time lets nobody in for a while: it is asked again.
        """
        settled = (
            "() => document.body.dataset.state === 'live' || document.querySelector('.refused')"
        )
        for _ in range(ATTEMPTS):
            await (self.page.press("#toggle", key) if key else self.page.click("#toggle"))
            await self.page.wait_for_function(settled, timeout=PATIENCE)
            if "places are taken" not in await self.page.inner_text("#notice"):
                break
            await asyncio.sleep(BUSY)
        assert await self.page.inner_text("#notice") == ""
        await self.page.wait_for_function(f"() => {AVATAR}.firstFrame", timeout=PATIENCE)

    async def state(self, state: str) -> None:
        """Wait until the element is in this state."""
        await self.page.wait_for_function(
            "(state) => document.body.dataset.state === state", arg=state, timeout=PATIENCE
        )

    async def notice(self, words: str) -> None:
        """Wait until the page says something with these words in it."""
        await self.page.wait_for_function(
            "(words) => document.getElementById('notice').textContent.includes(words)",
            arg=words,
            timeout=PATIENCE,
        )

    async def watch(self) -> None:
        """Let the probe measure from now on."""
        script = f"import('/probe/probe.js').then((p) => (window.probe = p).watch({AVATAR}))"
        await self.page.evaluate(f"() => {script}")

    async def beep(self, milliseconds: int) -> float:
        """Send a tone as an utterance; the time at which it left."""
        return float(await self.page.evaluate(f"(ms) => probe.beep({AVATAR}, ms)", milliseconds))

    async def interrupt(self) -> float:
        """The time at which it left."""
        return float(await self.page.evaluate(f"() => probe.interrupt({AVATAR})"))

    async def record(self) -> Record:
        told = await self.page.evaluate("() => probe.record()")
        seen, heard = told["seen"], told["heard"]
        return Record(
            told["now"], seen["open"], seen["closed"], heard["on"], heard["off"], seen["counters"]
        )

    async def stats(self) -> dict[str, Any]:
        """Inbound statistics by kind: audio, video."""
        return dict(await self.page.evaluate(f"() => probe.stats({AVATAR})"))

    async def until(self, wanted: Callable[[Record], bool], seconds: float) -> bool:
        """Whether the record became as `wanted` in time."""
        for _ in range(round(seconds * 10)):
            if wanted(await self.record()):
                return True
            await asyncio.sleep(0.1)
        return False

    async def look_ahead(self) -> float:
        return float(await self.page.evaluate(f"{AVATAR}.session.look_ahead_ms"))

    async def first_frame(self) -> float:
        """ms from start to the first picture."""
        return float(await self.page.evaluate(f"{AVATAR}.firstFrame"))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    async def close(self) -> None:
        await self._context.close()
