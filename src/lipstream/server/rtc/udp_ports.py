"""The UDP ports of viewers' sockets, where they must lie in a range: firewalls, containers."""

from __future__ import annotations

import asyncio
import errno
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from lipstream.server.rtc.interfaces import NoPortError

TAKEN = (errno.EADDRINUSE, errno.EACCES)  # by another socket, or not for this user


class UdpPorts:
    """Gives each socket the next port of the range that is free at its address.

    Several processes may share a range: each begins somewhere in it. For example, with 40000 to
    40003 and a beginning at 40002 the sockets of one address get 40002, 40003, 40000, 40001, and a
    fifth gets none.
    """

    def __init__(self, ports: range) -> None:
        self.ports = ports
        self._next = secrets.randbelow(len(ports))

    def each(self) -> Iterator[int]:
        """All ports, from the one after that which was given last."""
        for _ in self.ports:
            port = self.ports[self._next]
            self._next = (self._next + 1) % len(self.ports)
            yield port


class RangedAsyncio:
    """Stands for `asyncio` in aioice's `get_component_candidates`, which cannot be told ports.

    What is used there is here: the running loop, which is asked for sockets at port 0, and tasks.
    """

    create_task = staticmethod(asyncio.create_task)
    wait = staticmethod(asyncio.wait)

    def __init__(self, ports: UdpPorts) -> None:
        self._ports = ports
        self._exhausted = False

    def get_running_loop(self) -> RangedAsyncio:
        """The object that opens sockets."""
        return self

    async def create_datagram_endpoint(
        self, factory: Callable[[], asyncio.DatagramProtocol], local_addr: tuple[str, int]
    ) -> tuple[asyncio.DatagramTransport, Any]:
        """A socket of this address with a port of the range. Raises OSError without a free one."""
        loop = asyncio.get_running_loop()
        for port in self._ports.each():
            try:
                return await loop.create_datagram_endpoint(
                    factory, local_addr=(local_addr[0], port)
                )
            except OSError as error:
                if error.errno not in TAKEN:
                    raise
        self._exhausted = True
        raise OSError(errno.EADDRINUSE, "no port of the range is free")

    def check(self) -> None:
        """NoPortError when an address got no socket for want of a port."""
        if self._exhausted:
            first, last = self._ports.ports[0], self._ports.ports[-1]
            raise NoPortError(
                f"all UDP ports from {first} to {last} are taken; try again later, or let the "
                "server have more with --udp-ports."
            )
