"""The units of a session, for its viewer and for whatever else takes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import TypeAlias

from lipstream.live.cancellation import cancel_until_ended
from lipstream.live.session.session import Session
from lipstream.live.session.types import Unit

MAX_BEHIND = 5  # units that wait for a viewer of a shared feed; the oldest is left out

Sink: TypeAlias = Callable[[Unit], None]  # takes a unit at once, or leaves it out


class UnitFeed:
    """Gives each unit of a session to its sinks, and then to its viewer.

    Usually the viewer draws them: without one the session stands still. Those of a shared feed are
    drawn from the first viewer or the first call of `draw` to the end, and a viewer comes and goes
    without being noticed by the others.
    """

    def __init__(self, live: Session) -> None:
        self._live = live
        self._sinks: list[Sink] = []
        self._viewers: set[asyncio.Queue[Unit | None]] = set()
        self._drawing: asyncio.Task[None] | None = None
        self.shared = False

    def add_sink(self, sink: Sink) -> None:
        """Give `sink` all units from now on."""
        self._sinks.append(sink)

    def draw(self) -> None:
        """Draw units from now on, whoever watches, until the session or `close` ends it."""
        if self._drawing is None and not self._live.closed:
            self._drawing = asyncio.create_task(self._draw(), name="shared units")

    async def units(self) -> AsyncGenerator[Unit, None]:
        """The units as they become due, for one viewer."""
        if not self.shared:
            async with contextlib.aclosing(self._tapped()) as units:
                async for unit in units:
                    yield unit
            return
        waiting: asyncio.Queue[Unit | None] = asyncio.Queue(MAX_BEHIND)
        self._viewers.add(waiting)
        self.draw()
        try:
            while not self._live.closed and (given := await waiting.get()) is not None:
                yield given
        finally:
            self._viewers.discard(waiting)

    async def close(self) -> None:
        """Draw no more, and let viewers go."""
        if self._drawing is not None:
            await cancel_until_ended([self._drawing])

    async def _tapped(self) -> AsyncGenerator[Unit, None]:
        async with contextlib.aclosing(self._live.units()) as units:
            async for unit in units:
                for sink in self._sinks:
                    sink(unit)
                yield unit

    async def _draw(self) -> None:
        try:
            async with contextlib.aclosing(self._tapped()) as units:
                async for unit in units:
                    self._show(unit)
        finally:
            self._show(None)

    def _show(self, unit: Unit | None) -> None:
        for waiting in self._viewers:
            if waiting.full():
                waiting.get_nowait()
            waiting.put_nowait(unit)
