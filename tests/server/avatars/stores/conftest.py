"""A server that speaks S3's protocol."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.avatars.stores.s3_server import S3Server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """With a bucket called bucket."""
    with S3Server() as server:
        yield server
