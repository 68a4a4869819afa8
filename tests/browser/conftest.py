"""One browser and one server for all browser tests; skipped where there is no Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.service import Service, open_service
from tests.browser.stage import Stage, find_browser, open_stage

AVATAR = "Eileen=examples/portrait_closed.png"


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """A browser."""
    path = find_browser()
    if path is None:
        pytest.skip("there is no chromium; scripts/install brings it where it may")
    with open_stage(path) as opened:
        yield opened


@pytest.fixture(scope="session")
def service(stage: Stage) -> Iterator[Service]:
    """A server with the measurable backend; not started where there is no browser."""
    with open_service(AVATAR) as opened:
        yield opened
