"""Pages of other sites: our element in five lines, and a player that knows nothing but WHEP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.service import Service, open_service
from tests.browser.stage import Stage

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.alone

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WRITTEN = "http://127.0.0.1:8080"  # the server's address in the examples
PATIENCE = 15_000  # ms
PLAYS = "() => document.querySelector('video').videoWidth > 0"
ELEMENT = "document.querySelector('lipstream-avatar')"


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


async def show(stage: Stage, address: str) -> Page:
    page = await (await stage.browser.new_context()).new_page()
    await page.goto(address)
    return page


def test_the_element_talks_on_another_site(stage: Stage, service: Service, site: Site) -> None:
    async def scene() -> None:
        page = await show(stage, f"{site.origin}/embed.html")
        await page.click("button")
        live = f"() => {ELEMENT}.state === 'live' && {ELEMENT}.firstFrame"
        await page.wait_for_function(live, timeout=PATIENCE)
        await page.evaluate(
            f"() => {ELEMENT}.addEventListener('speech', (e) => (window.said = e.detail.type))"
        )
        await page.set_input_files("input", EXAMPLES / "speech.wav")
        await page.wait_for_function("() => window.said === 'started'", timeout=PATIENCE)
        await page.evaluate(f"() => {ELEMENT}.interrupt()")
        await page.wait_for_function("() => window.said === 'interrupted'", timeout=PATIENCE)
        await page.evaluate(f"() => {ELEMENT}.remove()")
        await service.settled()
        assert await service.sessions() == 0
        await page.context.close()

    stage.run(scene())


def test_a_plain_whep_player_plays(stage: Stage, service: Service, site: Site) -> None:
    async def scene() -> None:
        page = await show(stage, f"{site.origin}/whep_player.html")
        await page.fill("[name=token]", service.token)
        await page.click("button")
        await page.wait_for_function(PLAYS, timeout=PATIENCE)
        assert await service.sessions() == 1
        await page.goto("about:blank")
        await service.settled()
        assert await service.sessions() == 0
        await page.context.close()

    stage.run(scene())


def test_a_site_that_was_not_allowed_gets_nothing(
    stage: Stage, service: Service, site: Site
) -> None:
    async def scene() -> None:
        page = await show(stage, f"{site.stranger}/whep_player.html")
        await page.fill("[name=token]", service.token)
        await page.click("button")
        told = "() => document.querySelector('[role=status]').textContent.includes('Failed')"
        await page.wait_for_function(told, timeout=PATIENCE)
        assert await service.sessions() == 0
        await page.context.close()

    stage.run(scene())
