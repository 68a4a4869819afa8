"""The product's page in the browser, with the probe that measures its pictures and sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.browser.server_process import MAX_ATTEMPTS, RETRY_S

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

TIMEOUT_MS = 30_000  # for anything that has to happen, on any machine
# Keeps the page's connections where a test can break them.
KEEP_CONNECTIONS = """
  window.peers = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...settings) { super(...settings); peers.push(this); }
  };
"""
AVATAR = "document.getElementById('avatar')"


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """Times on the page's clock, ms, of pictures and sounds since the last `watch`."""

    now: float
    opened: list[float]
    closed: list[float]
    sounds: list[float]
    silences: list[float]
    counters: list[int]  # of all frames shown, in their order


class ViewerPage:
    """One page in a browser context of its own."""

    def __init__(self, page: Page, context: BrowserContext) -> None:
        self.page = page
        self.errors: list[str] = []  # of scripts and of the content security policy
        self._context = context
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._log_error)

    @classmethod
    async def blank(cls, browser: Browser) -> ViewerPage:
        """Open an empty page."""
        context = await browser.new_context()
        await context.add_init_script(KEEP_CONNECTIONS)
        return cls(await context.new_page(), context)

    async def open(self, address: str, token: str = "") -> ViewerPage:
        """Go to the product's page, enter the token and wait for the avatars."""
        await self.page.goto(address)
        if token:
            await self.page.fill("#token", token)
            await self.page.click("#token-form button")
        await self.page.wait_for_selector(".card img[src]", timeout=TIMEOUT_MS)
        return self

    async def start(self, key: str = "") -> None:
        """Press start, or `key` on it, and wait until media flows.

        A server that has been short of time refuses sessions for a while: try again.
        """
        for _ in range(MAX_ATTEMPTS):
            await (self.page.press("#toggle", key) if key else self.page.click("#toggle"))
            await self.live_or_refused()
            if "places are taken" not in await self.page.inner_text("#notice"):
                break
            await asyncio.sleep(RETRY_S)
        assert await self.page.inner_text("#notice") == ""
        await self.page.wait_for_function(f"() => {AVATAR}.firstFrame", timeout=TIMEOUT_MS)

    async def live_or_refused(self) -> None:
        """Wait until media flows or the page says why it does not."""
        settled = "document.querySelector('[data-state=live], .notices.refused')"
        await self.page.wait_for_function(f"() => {settled}", timeout=TIMEOUT_MS)

    async def state(self, state: str) -> None:
        """Wait until the element is in `state`."""
        await self.page.wait_for_function(
            "(state) => document.body.dataset.state === state", arg=state, timeout=TIMEOUT_MS
        )

    async def notice(self, words: str) -> None:
        """Wait until the page's notice contains `words`."""
        await self.page.wait_for_function(
            "(words) => document.getElementById('notice').textContent.includes(words)",
            arg=words,
            timeout=TIMEOUT_MS,
        )

    async def watch(self) -> None:
        """Start the probe, again after a reconnection."""
        script = f"import('/probe/probe.js').then((p) => (window.probe = p).watch({AVATAR}))"
        await self.page.evaluate(f"() => {script}")

    async def beep(self, milliseconds: int) -> float:
        """Send a tone as an utterance; return the time at which it left."""
        return float(await self.page.evaluate(f"(ms) => probe.beep({AVATAR}, ms)", milliseconds))

    async def interrupt(self) -> float:
        """Interrupt; return the time at which the request left."""
        return float(await self.page.evaluate(f"() => probe.interrupt({AVATAR})"))

    async def record(self) -> ProbeRecord:
        """Read what the probe has measured so far."""
        return ProbeRecord(**await self.page.evaluate("() => probe.record()"))

    async def stats(self) -> dict[str, Any]:
        """Read the inbound statistics by kind: audio, video."""
        return dict(await self.page.evaluate(f"() => probe.stats({AVATAR})"))

    async def until(self, reached: Callable[[ProbeRecord], bool], seconds: float) -> bool:
        """Wait until the record satisfies `reached`; False after `seconds`."""
        for _ in range(round(seconds * 10)):
            if reached(await self.record()):
                return True
            await asyncio.sleep(0.1)
        return False

    async def session_id(self) -> str:
        """The id of the page's session."""
        return str(await self.page.evaluate(f"{AVATAR}.session.id"))

    async def look_ahead(self) -> float:
        """The server's look-ahead, ms."""
        return float(await self.page.evaluate(f"{AVATAR}.session.look_ahead_ms"))

    async def first_frame(self) -> float:
        """The time from start to the first picture, ms."""
        return float(await self.page.evaluate(f"{AVATAR}.firstFrame"))

    def _log_error(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    async def leave(self) -> None:
        """Go away as a user does: the page ends its session, which closing it may cut short."""
        await self.page.goto("about:blank")

    async def close(self) -> None:
        await self._context.close()
