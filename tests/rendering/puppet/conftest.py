"""Fixtures of the puppet's tests."""

from __future__ import annotations

import pytest

from lipstream.avatar.face.finder import FaceFinder


@pytest.fixture(scope="session")
def finder() -> FaceFinder:
    """A face finder with its models loaded."""
    return FaceFinder()
