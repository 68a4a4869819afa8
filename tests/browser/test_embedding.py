"""Pages of other sites: our element in five lines, and a player that knows nothing but WHEP."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import TimeoutError as PlaywrightTimeout

from tests.browser.service import Service, open_service
from tests.browser.stage import Stage
from tests.browser.viewer import ATTEMPTS, BUSY, PATIENCE

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.alone

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WRITTEN = "http://127.0.0.1:8080"  # the server's address in the examples
PLAYS = "() => document.querySelector('video').videoWidth > 0"
REFUSED = "() => document.querySelector('[role=status]').textContent.includes('Failed')"
ELEMENT = "document.querySelector('lipstream-avatar')"
NOTE_SPEECH = f"""() => {{
  window.said = [];
  {ELEMENT}.addEventListener('speech', ({{ detail }}) => said.push(detail.type));
}}"""
SAID = "(what) => said.includes(what)"


class Site(HTTPServer):
    """Another site, which shows our examples. Its name as `localhost` is a third one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SitePage)
        self.pages: dict[str, bytes] = {}
        self.origin = f"http://127.0.0.1:{self.server_port}"
        self.stranger = f"http://localhost:{self.server_port}"


class SitePage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Site)
        page = self.server.pages.get(self.path, b"")
        self.send_response(200 if page else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def service(stage: Stage, site: Site) -> Iterator[Service]:
    """A server that pages of the site may use, and the examples for it."""
    with open_service("--origin", site.origin, "face=examples/portrait_closed.png") as opened:
        for path in EXAMPLES.glob("*.html"):
            text = path.read_text("utf-8").replace(WRITTEN, opened.address)
            text = text.replace("<lipstream-avatar", f'<lipstream-avatar token="{opened.token}"')
            site.pages[f"/{path.name}"] = text.encode()
        yield opened


@asynccontextmanager
async def shown(stage: Stage, address: str) -> AsyncIterator[Page]:
    """A page, closed afterwards with all it opened."""
    context = await stage.browser.new_context()
    try:
        page = await context.new_page()
        await page.goto(address)
        yield page
    finally:
        await context.close()


async def press(page: Page, done: str) -> None:
    """Press the page's button until it is `done`: a busy server lets nobody in for a while."""
    for _ in range(ATTEMPTS):
        await page.click("button")
        with suppress(PlaywrightTimeout):
            await page.wait_for_function(done, timeout=1000 * BUSY)
            return
    raise AssertionError(await page.inner_text("body"))


def test_the_element_talks_on_another_site(stage: Stage, service: Service, site: Site) -> None:
    async def scene() -> None:
        async with shown(stage, f"{site.origin}/embed.html") as page:
            await press(page, f"() => {ELEMENT}.state === 'live' && {ELEMENT}.firstFrame")
            await page.evaluate(NOTE_SPEECH)
            await page.set_input_files("input", EXAMPLES / "speech.wav")
            await page.wait_for_function(SAID, arg="started", timeout=PATIENCE)
            await page.evaluate(f"() => {ELEMENT}.interrupt()")
            await page.wait_for_function(SAID, arg="interrupted", timeout=PATIENCE)
            await page.evaluate(f"() => {ELEMENT}.remove()")
            await service.settled()
            assert await service.sessions() == 0

    stage.run(scene())


def test_a_plain_whep_player_plays(stage: Stage, service: Service, site: Site) -> None:
    async def scene() -> None:
        async with shown(stage, f"{site.origin}/whep_player.html") as page:
            await page.fill("[name=token]", service.token)
            await press(page, PLAYS)
            assert await service.sessions() == 1
            await page.goto("about:blank")
            await service.settled()
            assert await service.sessions() == 0

    stage.run(scene())


def test_a_site_that_was_not_allowed_gets_nothing(
    stage: Stage, service: Service, site: Site
) -> None:
    async def scene() -> None:
        async with shown(stage, f"{site.stranger}/whep_player.html") as page:
            await page.fill("[name=token]", service.token)
            await page.click("button")
            await page.wait_for_function(REFUSED, timeout=PATIENCE)
            assert await service.sessions() == 0

    stage.run(scene())
