"""The end of a session's parts: all of them at once, and none is silent about its own failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

log = logging.getLogger("lipstream.server")


async def end_all(short_id: str, *parts: Awaitable[Any]) -> None:
    """Wait until all parts have ended. An error of one is logged, and keeps no other from it."""
    for error in await asyncio.gather(*parts, return_exceptions=True):
        if isinstance(error, Exception):
            fields = {"session": short_id}
            log.error("a part of a session did not end well", exc_info=error, extra=fields)
