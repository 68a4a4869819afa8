"""One browser, one server and one other site for all browser tests, and a page for each.

Skipped where there is no Chromium. Tests written as coroutines run on the browser's event loop.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.browser.chromium import Chromium, find_chromium, open_chromium
from tests.browser.server_process import ServerProcess, start_server
from tests.browser.site import Site
from tests.browser.viewer_page import ViewerPage

if TYPE_CHECKING:
    from playwright.async_api import Page

PORTRAIT = Path(__file__).resolve().parents[2] / "examples/portrait_closed.png"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine function on the browser's event loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    chromium = pyfuncitem.funcargs["chromium"]
    assert isinstance(chromium, Chromium)
    chromium.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """A browser."""
    path = find_chromium()
    if path is None:
        pytest.skip("no chromium is installed; scripts/install brings it where it may")
    with open_chromium(path) as opened:
        yield opened


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Another site, allowed to use the server."""
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A picture twice as wide as high, whose face is at its left, as an avatar."""
    path = tmp_path_factory.mktemp("avatars") / "wide.png"
    with Image.open(PORTRAIT) as portrait:
        picture = Image.new("RGB", (2 * portrait.width, portrait.height), (90, 110, 120))
        picture.paste(portrait)
    picture.save(path)
    return f"wide={path}"


@pytest.fixture(scope="session")
def tall(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A picture twice as high as wide, whose face is in its lower half, as an avatar."""
    path = tmp_path_factory.mktemp("avatars") / "tall.png"
    with Image.open(PORTRAIT) as portrait:
        picture = Image.new("RGB", (portrait.width, 2 * portrait.height), (90, 110, 120))
        picture.paste(portrait, (0, portrait.height))
    picture.save(path)
    return f"tall={path}"


@pytest.fixture(scope="session")
def server(chromium: Chromium, site: Site, wide: str, tall: str) -> Iterator[ServerProcess]:
    """A server with the marker backend, three avatars and room for one session."""
    with start_server("--origin", site.origin, f"face={PORTRAIT}", wide, tall) as started:
        yield started


@pytest.fixture(scope="module")
def page(chromium: Chromium, server: ServerProcess) -> Iterator[Page]:
    """A page from which single modules of the server can be imported."""
    made = chromium.run(chromium.browser.new_page())
    chromium.run(made.goto(server.address))
    yield made
    chromium.run(made.close())


@pytest.fixture
def blank(chromium: Chromium, server: ServerProcess) -> Iterator[ViewerPage]:
    """An empty page; closed afterwards, with the session that it opened."""
    page = chromium.run(ViewerPage.blank(chromium.browser))
    yield page
    chromium.run(page.leave())
    chromium.run(server.wait_until_free())
    chromium.run(page.close())


@pytest.fixture
def viewer(chromium: Chromium, server: ServerProcess, blank: ViewerPage) -> ViewerPage:
    """The product's page, with the token entered and the avatars shown."""
    chromium.run(blank.open(server.address, server.token))
    return blank
