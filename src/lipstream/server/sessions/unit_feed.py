"""The units of a session, for its viewer and for whatever else takes them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import TypeAlias

from lipstream.live.session.session import Session
from lipstream.live.session.types import Unit

Sink: TypeAlias = Callable[[Unit], None]  # takes a unit at once, or leaves it out


class UnitFeed:
    """Gives each unit that a viewer draws from the session to its sinks, before the viewer."""

    def __init__(self, live: Session) -> None:
        self._live = live
        self._sinks: list[Sink] = []

    def add_sink(self, sink: Sink) -> None:
        """Give `sink` all units from now on."""
        self._sinks.append(sink)

    async def units(self) -> AsyncGenerator[Unit, None]:
        """The units as they become due, for one viewer."""
        async with contextlib.aclosing(self._live.units()) as units:
            async for unit in units:
                for sink in self._sinks:
                    sink(unit)
                yield unit
