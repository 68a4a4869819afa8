"""The package `lipstream` of npm on a page: as plain modules, and as a component of React."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.server_process import ServerProcess
from tests.browser.site import Site
from tests.browser.viewer_page import TIMEOUT_MS, ViewerPage
from tests.packages.npm import bundle, install

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.alone, pytest.mark.clients]

ELEMENT = "document.querySelector('lipstream-avatar')"
HEAD = """<!doctype html><link rel="icon" href="data:,">
<script>window.given = GIVEN;</script>"""
PLAIN = f"""{HEAD}
<script type="importmap">{{"imports": {{"lipstream": "/lipstream/lipstream.js"}}}}</script>
<script type="module">
  import {{ LipstreamAvatar }} from 'lipstream';

  const avatar = new LipstreamAvatar();
  avatar.setAttribute('server', given.server);
  avatar.session = given.session;
  document.body.append(avatar);
</script>
"""
REACT_PAGE = f'{HEAD}<div id="root"></div><script type="module" src="/react.js"></script>'
REACT = """
import { createElement, useRef, useState, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { LipstreamAvatar } from 'lipstream/react';

window.states = [];
window.words = [];

function App() {
  const avatar = useRef(null);
  const [session] = useState(given.session);
  window.avatar = avatar;
  return createElement(LipstreamAvatar, {
    ref: avatar,
    server: given.server,
    session,
    captions: true,
    muted: true,
    controls: false,
    onState: (state) => states.push(state),
    onCaption: ({ text }) => words.push(text),
  });
}

createRoot(document.getElementById('root')).render(
  createElement(StrictMode, null, createElement(App)),
);
"""


async def with_session(page: str, server: ServerProcess) -> bytes:
    """A page that has been given a session."""
    given = {"server": server.address, "session": await server.open_session("face")}
    return page.replace("GIVEN", json.dumps(given)).encode()


async def speak(page: Page, url: str) -> None:
    """Open a page and let its element say two words."""
    await page.goto(url)
    await page.wait_for_function(f"() => {ELEMENT}?.session", timeout=TIMEOUT_MS)
    await page.evaluate(f"() => {ELEMENT}.start()")
    spoken = await page.evaluate(f"() => {ELEMENT}.say('One two.')")
    assert spoken["played_ms"] == 1200 and not spoken["interrupted"]


async def test_it_needs_no_bundler(
    blank: ViewerPage, server: ServerProcess, site: Site, packed: Path
) -> None:
    with tarfile.open(packed) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                path = member.name.removeprefix("package/")
                site.pages[f"/lipstream/{path}"] = content.read()
    site.pages["/plain.html"] = await with_session(PLAIN, server)
    await speak(blank.page, f"{site.other_origin}/plain.html")
    await blank.page.evaluate(f"() => {ELEMENT}.remove()")
    await server.wait_until_free()
    assert blank.errors == []


@pytest.mark.parametrize("react", ["18.3.1", "19.3.1"])
async def test_it_is_a_component_of_react(
    blank: ViewerPage,
    server: ServerProcess,
    site: Site,
    esbuild: Path,
    packed: Path,
    tmp_path: Path,
    react: str,
) -> None:
    install(tmp_path, f"react@{react}", f"react-dom@{react}", str(packed))
    site.pages["/react.js"] = bundle(esbuild, tmp_path, REACT)
    site.pages["/react.html"] = await with_session(REACT_PAGE, server)
    page = blank.page
    await speak(page, f"{site.other_origin}/react.html")
    assert await page.evaluate("() => words.join(' ')") == "One two."
    assert await page.evaluate("() => states") == ["connecting", "live"]
    assert await page.evaluate(f"() => avatar.current === {ELEMENT}")
    assert await page.evaluate(f"() => {ELEMENT}.hasAttribute('captions')")
    assert not await page.evaluate(f"() => {ELEMENT}.hasAttribute('controls')")
    assert await page.evaluate(f"() => {ELEMENT}.muted")
    await page.evaluate(f"() => {ELEMENT}.stop()")
    await server.wait_until_free()
    assert [error for error in blank.errors if "DevTools" not in error] == []
