"""Shortcuts in other libraries for all tests: what they do stays the same, and comes sooner."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any

import pytest

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # variables that name others
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
    second in place of tenths. httpx reads the certificates of all authorities once, 20 ms, and not
    for each client.
    """
    with pytest.MonkeyPatch.context() as patch:
        if routing := sys.modules.get("fastapi.routing"):
            once = functools.cache(routing.create_model_field)
            patch.setattr(routing, "create_model_field", once)
        if server := sys.modules.get("uvicorn.server"):
            patch.setattr(server, "asyncio", QuickAsyncio())
        if transports := sys.modules.get("httpx._transports.default"):
            context = _shared_context(transports.create_ssl_context)
            patch.setattr(transports, "create_ssl_context", context)
        yield


def _shared_context(make: Callable[..., SSLContext]) -> Callable[..., SSLContext]:
    """`make`, but for a client without certificates of its own always the same."""
    usual = functools.cache(make)

    def context(**settings: Any) -> SSLContext:
        own = settings.get("verify") is not True or settings.get("cert") is not None
        if own or any(name in os.environ for name in CERTIFICATES):
            return make(**settings)
        return usual(**settings)

    return context
