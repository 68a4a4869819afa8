"""A Chromium that tests drive from plain functions."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from playwright.async_api import Browser

T = TypeVar("T")

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--no-first-run",
)


def find_chromium() -> str | None:
    """The path of this machine's Chromium, if it has one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """One browser on its own event loop, which runs only while a test uses it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, browser: Browser) -> None:
        self._loop = loop
        self.browser = browser

    def run(self, work: Coroutine[Any, Any, T], limit: float = 120) -> T:
        """Run `work` to its end; TimeoutError after `limit` seconds."""
        return self._loop.run_until_complete(asyncio.wait_for(work, limit))


@contextmanager
def open_chromium(path: str) -> Iterator[Chromium]:
    """Start a browser and close it afterwards with all its pages."""
    root = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    loop = asyncio.new_event_loop()
    try:
        playwright = loop.run_until_complete(async_playwright().start())
        try:
            launching = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *root])
            browser = loop.run_until_complete(launching)
            yield Chromium(loop, browser)
            loop.run_until_complete(browser.close())
        finally:
            loop.run_until_complete(playwright.stop())
    finally:
        loop.close()
