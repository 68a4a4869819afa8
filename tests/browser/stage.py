"""A browser with one page, driven from plain test functions."""

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

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
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


def find_browser() -> str | None:
    """The Chromium of this machine, if it has one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Stage:
    """One browser on an event loop of its own, which runs only while a test uses it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, browser: Browser) -> None:
        self._loop = loop
        self.browser = browser

    def run(self, work: Coroutine[Any, Any, T], limit: float = 120) -> T:
        """Do `work` now; TimeoutError after `limit` seconds."""
        return self._loop.run_until_complete(asyncio.wait_for(work, limit))


@contextmanager
def open_stage(path: str, flags: tuple[str, ...] = ()) -> Iterator[Stage]:
    """A browser that is closed afterwards with all its pages."""
    root = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    loop = asyncio.new_event_loop()
    try:
        playwright = loop.run_until_complete(async_playwright().start())
        try:
            launching = playwright.chromium.launch(
                executable_path=path, args=[*FLAGS, *root, *flags]
            )
            browser = loop.run_until_complete(launching)
            yield Stage(loop, browser)
            loop.run_until_complete(browser.close())
        finally:
            loop.run_until_complete(playwright.stop())
    finally:
        loop.close()
