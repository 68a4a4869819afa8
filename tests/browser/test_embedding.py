"""Pages of other sites: our element in five lines, and a player of plain WHEP."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import TimeoutError as PlaywrightTimeout

import lipstream
from tests.browser.server_process import MAX_ATTEMPTS, RETRY_S, ServerProcess
from tests.browser.site import Site
from tests.browser.viewer_page import TIMEOUT_MS, ViewerPage

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.alone

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PAGES = Path(lipstream.__file__).parent / "server" / "page" / "examples"
OWN = "new URL('..', location).href"  # how the examples name the server that serves them
PLAYS = "() => document.querySelector('video').videoWidth > 0"
REFUSED = "() => document.querySelector('[role=status]').textContent.includes('Failed')"
ELEMENT = "document.querySelector('lipstream-avatar')"
LOG_SPEECH = f"""() => {{
  window.speechEvents = [];
  {ELEMENT}.addEventListener('speech', ({{ detail }}) => speechEvents.push(detail.type));
}}"""
HAS_EVENT = "(type) => speechEvents.includes(type)"


@pytest.fixture(scope="module", autouse=True)
def examples(server: ServerProcess, site: Site) -> None:
    """Put the examples on the site, with the server's address."""
    for path in PAGES.glob("*.html"):
        text = path.read_text("utf-8")
        assert OWN in text
        text = text.replace(OWN, f"'{server.address}/'")
        text = text.replace("<lipstream-avatar", f'<lipstream-avatar token="{server.token}"')
        site.pages[f"/{path.name}"] = text.encode()


async def press(page: Page, done: str, button: str = "button") -> None:
    """Press a button until it is `done`: a busy server refuses sessions for a while."""
    for _ in range(MAX_ATTEMPTS):
        await page.click(button)
        with suppress(PlaywrightTimeout):
            await page.wait_for_function(done, timeout=1000 * RETRY_S)
            return
    raise AssertionError(await page.inner_text("body"))


async def test_the_element_talks_on_another_site(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    page = blank.page
    await page.goto(f"{site.origin}/embed.html")
    await press(page, f"() => {ELEMENT}.state === 'live' && {ELEMENT}.firstFrame", ".toggle")
    await page.evaluate(LOG_SPEECH)
    await page.set_input_files("input", EXAMPLES / "speech.wav")
    await page.wait_for_function(HAS_EVENT, arg="started", timeout=TIMEOUT_MS)
    await page.evaluate(f"() => {ELEMENT}.interrupt()")
    await page.wait_for_function(HAS_EVENT, arg="interrupted", timeout=TIMEOUT_MS)
    await page.evaluate(f"() => {ELEMENT}.remove()")
    await server.wait_until_free()
    assert await server.sessions() == 0


async def test_an_example_finds_the_server_that_serves_it(
    blank: ViewerPage, server: ServerProcess
) -> None:
    """Under the policy of the server's pages; the token is the only thing that it is told."""
    page = blank.page
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    await page.goto(f"{server.address}/examples/whep_player.html")
    await page.fill("[name=token]", server.token)
    await press(page, PLAYS)
    await page.goto(f"{server.address}/examples/embed.html")
    await page.wait_for_function("() => customElements.get('lipstream-avatar')")
    assert [line for line in problems if "Content Security Policy" in line] == []
    await server.wait_until_free()


async def test_a_plain_whep_player_plays(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    page = blank.page
    await page.goto(f"{site.origin}/whep_player.html")
    await page.fill("[name=token]", server.token)
    await press(page, PLAYS)
    assert await server.sessions() == 1
    await page.goto("about:blank")
    await server.wait_until_free()
    assert await server.sessions() == 0


async def test_a_site_that_was_not_allowed_gets_nothing(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    page = blank.page
    await page.goto(f"{site.other_origin}/whep_player.html")
    await page.fill("[name=token]", server.token)
    await page.click("button")
    await page.wait_for_function(REFUSED, timeout=TIMEOUT_MS)
    assert await server.sessions() == 0
