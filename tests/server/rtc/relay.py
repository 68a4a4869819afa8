"""A bad network between two peers: a UDP relay that loses, delays and reorders, by a seed."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass, field

CANDIDATE = re.compile(r"a=candidate:(\S+) 1 udp (\d+) (\d+\.\d+\.\d+\.\d+) (\d+) typ host")


@dataclass(slots=True)
class NetworkConditions:
    """The treatment of packets in both directions. May be changed at any time."""

    loss: float = 0.0  # share that is lost, each for itself
    burst: float = 0.0  # chance per packet that a burst of losses begins
    burst_length: float = 4.0  # packets, on average
    delay_ms: float = 0.0
    jitter_ms: float = 0.0  # up to so much more for each packet, which reorders them
    blackout: bool = False  # nothing passes


@dataclass(slots=True)
class PacketTrace:
    """Packets of one direction."""

    passed: int = 0
    lost: int = 0


@dataclass
class Relay:
    """Stands between a viewer and a server. Rewrites their SDP so that each knows it alone."""

    conditions: NetworkConditions = field(default_factory=NetworkConditions)
    seed: int = 1
    to_viewer: PacketTrace = field(default_factory=PacketTrace)
    to_server: PacketTrace = field(default_factory=PacketTrace)

    async def offer(self, sdp: str) -> str:
        """The viewer's offer, for the server."""
        self._random, self._burst = random.Random(self.seed), {True: 0, False: 0}
        address = _address(sdp)
        loop = asyncio.get_running_loop()
        self._viewer, self._server = address, address  # the latter is known with the answer
        self._sides: list[asyncio.DatagramTransport] = []
        for faces_server in (True, False):
            transport, _ = await loop.create_datagram_endpoint(
                lambda faces_server=faces_server: _RelaySocket(self, faces_server),  # type: ignore[misc]
                local_addr=(address[0], 0),
            )
            self._sides.append(transport)
        return self._rewritten(sdp, 0)

    def answer(self, sdp: str) -> str:
        """The server's answer, for the viewer."""
        self._server = _address(sdp)
        return self._rewritten(sdp, 1)

    def close(self) -> None:
        for side in self._sides:
            side.close()

    def carry(self, data: bytes, from_server: bool) -> None:
        """One packet; sent on now, later, or never."""
        passage = self.to_viewer if from_server else self.to_server
        if self._lost(from_server):
            passage.lost += 1
            return
        passage.passed += 1
        side = self._sides[1 if from_server else 0]
        target = self._viewer if from_server else self._server
        delay = self.conditions.delay_ms + self._random.random() * self.conditions.jitter_ms
        if delay:
            asyncio.get_running_loop().call_later(delay / 1000, _send, side, data, target)
        else:
            side.sendto(data, target)

    def _lost(self, from_server: bool) -> bool:
        conditions = self.conditions
        if conditions.blackout:
            return True
        if self._burst[from_server]:
            self._burst[from_server] -= 1
            return True
        if self._random.random() < conditions.burst:
            self._burst[from_server] = round(self._random.expovariate(1 / conditions.burst_length))
            return True
        return self._random.random() < conditions.loss

    def _rewritten(self, sdp: str, side: int) -> str:
        host, port = self._sides[side].get_extra_info("sockname")
        lines, told = [], False
        for line in sdp.splitlines():
            if line.startswith("m="):
                told = False
            if line.startswith("a=candidate:"):
                if not told:
                    lines.append(f"a=candidate:relay 1 udp 2130706431 {host} {port} typ host")
                    told = True
                continue
            lines.append(line)
        return "\r\n".join(lines) + "\r\n"


class _RelaySocket(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay, faces_server: bool) -> None:
        self._relay, self._from_server = relay, faces_server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._relay.carry(data, self._from_server)


def _send(side: asyncio.DatagramTransport, data: bytes, target: tuple[str, int]) -> None:
    if not side.is_closing():
        side.sendto(data, target)


def _address(sdp: str) -> tuple[str, int]:
    """The first IPv4 address that an SDP names."""
    match = CANDIDATE.search(sdp)
    assert match is not None, sdp
    return match[3], int(match[4])
