"""Shortcuts in other libraries for all tests: what they do stays the same, and comes sooner."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

TICK_S = 0.01  # between two looks of uvicorn, in place of 0.1


class QuickAsyncio:
    """The module asyncio for uvicorn, which waits in it for what nobody tells it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, TICK_S))


@contextmanager
def shortcuts() -> Iterator[None]:
    """Take all of them, of libraries that are loaded.

    FastAPI makes what checks an answer once, and not anew for every application: each has hundreds,
    all the same, which are half of what the servers' tests cost. uvicorn ends in hundredths of a
    second in place of tenths.
    """
    with pytest.MonkeyPatch.context() as patch:
        if routing := sys.modules.get("fastapi.routing"):
            once = functools.cache(routing.create_model_field)
            patch.setattr(routing, "create_model_field", once)
        if server := sys.modules.get("uvicorn.server"):
            patch.setattr(server, "asyncio", QuickAsyncio())
        yield
