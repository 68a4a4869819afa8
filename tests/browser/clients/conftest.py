"""Other makers' software: Firefox, coturn and npm packages. Skipped where it is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.browser.clients.coturn import Relay, find_coturn, open_coturn
from tests.browser.clients.firefox import FirefoxPage, find_firefox, open_firefox
from tests.browser.conftest import PORTRAIT
from tests.browser.server_process import ServerProcess, start_server
from tests.browser.site import Site
from tests.packages.npm import copy_package, install, pack


def present(path: str | None, name: str) -> str:
    """The path of a program; skips the test where there is none."""
    if path is None:
        pytest.skip(f"{name} is not installed; scripts/install_clients brings it where it may")
    return path


@pytest.fixture(scope="session")
def server(chromium: Chromium, site: Site) -> Iterator[ServerProcess]:
    """A server that says each word as a beep."""
    with start_server("--beeps", "--origin", site.origin, f"face={PORTRAIT}") as started:
        yield started


@pytest.fixture(scope="session")
def players(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the packages of package.json are installed."""
    folder = tmp_path_factory.mktemp("players")
    shutil.copy(Path(__file__).with_name("package.json"), folder)
    install(folder)
    return folder


@pytest.fixture(scope="session")
def esbuild(players: Path) -> Path:
    """What bundles packages for a page."""
    return players / "node_modules/.bin/esbuild"


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our package as npm would publish it."""
    return pack(copy_package(tmp_path_factory.mktemp("repository")))


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """A TURN server."""
    with open_coturn(present(find_coturn(), "coturn"), tmp_path_factory.mktemp("coturn")) as opened:
        yield opened


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirefoxPage]:
    """A tab of Firefox."""
    with open_firefox(
        present(find_firefox(), "Firefox"), tmp_path_factory.mktemp("firefox")
    ) as page:
        yield page
