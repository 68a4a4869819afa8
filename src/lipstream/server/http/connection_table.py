"""The TCP connections of the server, in all and by address, so that silent ones keep nobody out."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Protocol

IPV6_PREFIX = 64  # bits that one customer's network shares (RFC 6177)


class Connection(Protocol):
    """One TCP connection."""

    @property
    def admitted(self) -> bool:
        """True while it serves a request that passed the rules of access."""

    def abort(self) -> None:
        """Close it at once."""


class ConnectionTable:
    """At most `most` connections, of one network at most `most_per_network`.

    A newcomer takes the place of the longest inactive connection that is not admitted: of its own
    network where that has all it may have, else of the network that has the most. For example, 500
    silent connections from one address and a viewer's from another: whoever comes next closes the
    oldest of the 500.
    """

    def __init__(self, most: int, most_per_network: int) -> None:
        self._most, self._most_per_network = most, most_per_network
        self._networks: dict[Connection, str] = {}  # the longest inactive first
        self._counts: Counter[str] = Counter()
        self.refused = 0  # newcomers without a place, and connections that made room

    def __len__(self) -> int:
        return len(self._networks)

    def enter(self, connection: Connection, network: str, *, shared: bool = False) -> bool:
        """Take it in if there is room or room can be made. No limit of its own holds for a
        `shared` network, behind which are many clients."""
        full = not shared and self._counts[network] >= self._most_per_network
        if full and not self._make_room(network):
            return False
        if len(self._networks) >= self._most and not self._make_room():
            return False
        self._networks[connection] = network
        self._counts[network] += 1
        return True

    def touch(self, connection: Connection) -> None:
        """It has sent a whole request: it is now the least inactive one."""
        network = self._networks.pop(connection, None)
        if network is not None:
            self._networks[connection] = network

    def leave(self, connection: Connection) -> None:
        """It is closed. Does nothing for one that is not in."""
        network = self._networks.pop(connection, None)
        if network is not None:
            self._counts[network] -= 1
            if not self._counts[network]:
                del self._counts[network]

    def _make_room(self, network: str | None = None) -> bool:
        """Close one connection, of `network` if that is given; False when all are admitted."""
        found = [
            (connection, one)
            for connection, one in self._networks.items()
            if network in (None, one) and not connection.admitted
        ]
        self.refused += 1
        if not found:
            return False
        oldest, _ = max(found, key=lambda pair: self._counts[pair[1]])  # the first of several
        self.leave(oldest)
        oldest.abort()
        return True


def network_of(host: str) -> str:
    """The network that counts as one client: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)
