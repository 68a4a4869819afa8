"""A push by WHIP: WebRTC as viewers have it, but this side makes the offer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TypeAlias

from lipstream.live.session.types import Unit
from lipstream.push.live_push import LivePush, OnLost
from lipstream.server.outputs.whip_endpoint import Published, WhipEndpoint, WhipError
from lipstream.server.rtc.interfaces import NoPortError, SignallingError, Source
from lipstream.server.rtc.publisher import Publisher
from lipstream.server.rtc.settings import TransportSettings

CONNECT_S, WATCHDOG_S = 15, 20  # endpoints may report every five seconds only

OpenPublisher: TypeAlias = Callable[[Source, Callable[[str], None]], Publisher]


def publishing(settings: TransportSettings) -> TransportSettings:
    """The settings of a connection to an endpoint, where `settings` are those of viewers."""
    return replace(settings, connect_s=CONNECT_S, watchdog_s=WATCHDOG_S)


class WhipPush(LivePush):
    """Pushes to one endpoint of WHIP. It is the source that its connection plays."""

    def __init__(
        self,
        endpoint: WhipEndpoint,
        open_publisher: OpenPublisher,
        on_lost: OnLost,
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        """`open_publisher` is given a source and what to tell when it is lost; `on_lost` and
        `on_connected` are those of `LivePush`."""
        super().__init__(on_lost, on_connected)
        self._endpoint, self._open_publisher = endpoint, open_publisher

    async def units(self) -> AsyncIterator[Unit]:
        """The units that are given from now on; the connection asks for them once it stands."""
        self._connect()
        while (unit := await self._units.get()) is not None:
            self.sent += 1
            yield unit

    async def _try_once(self) -> str:
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_closed(reason: str) -> None:
            if not lost.done():
                lost.set_result(reason)

        publisher = self._open_publisher(self, on_closed)
        published: Published | None = None
        try:
            published = await self._endpoint.publish(await publisher.offer())
            await publisher.take(published.answer)
            return await lost
        except (WhipError, SignallingError, NoPortError) as error:
            return str(error)
        finally:
            await publisher.close()
            if published is not None and published.resource is not None:
                await self._endpoint.delete(published.resource)
