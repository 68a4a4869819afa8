"""Fixtures of the tests of the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lipstream.server.admission import usable_cores
from lipstream.server.rtc.media_sender import MediaWorkers


@pytest.fixture
def workers() -> Iterator[MediaWorkers]:
    """Encoders of pictures, gone after the test."""
    pool = MediaWorkers(usable_cores())
    yield pool
    pool.close()
