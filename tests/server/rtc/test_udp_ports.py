"""The sockets of viewers have ports of the range, and no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
from aiortc import RTCCertificate, RTCIceCandidate

from lipstream.server.errors import ApiError, _refusal
from lipstream.server.rtc.guards.drop_log import DropLog
from lipstream.server.rtc.ice_dtls import IceDtlsTransport
from lipstream.server.rtc.interfaces import NoPortError
from lipstream.server.rtc.udp_ports import UdpPorts

PORTS = range(42_310, 42_313)


@contextlib.asynccontextmanager
async def connections(
    count: int, ports: UdpPorts
) -> AsyncIterator[list[Sequence[RTCIceCandidate]]]:
    """The addresses of so many connections."""
    certificate = RTCCertificate.generateCertificate()
    made = [
        IceDtlsTransport(certificate, [], DropLog(), lambda reason: None, lambda: None, ports)
        for _ in range(count)
    ]
    try:
        yield [await one.gather() for one in made]
    finally:
        for one in made:
            await one.close()


def test_every_socket_lies_in_the_range() -> None:
    async def scenario() -> None:
        ports = UdpPorts(PORTS)
        async with connections(len(PORTS), ports) as gathered:
            found = [(one.ip, one.port) for candidates in gathered for one in candidates]
            assert found and {port for _, port in found} == set(PORTS)
            assert len(set(found)) == len(found)
        async with connections(1, ports) as (candidates,):  # they are free again
            assert {one.port for one in candidates} <= set(PORTS)

    asyncio.run(scenario())


def test_a_range_that_is_used_up_is_a_sentence() -> None:
    async def scenario() -> None:
        ports = UdpPorts(PORTS)
        async with connections(len(PORTS), ports):
            with pytest.raises(NoPortError, match="all UDP ports from 42310 to 42312 are taken"):
                async with connections(1, ports):
                    pass

    asyncio.run(scenario())
    refusal = _refusal(NoPortError("all are taken."))
    assert isinstance(refusal, ApiError)
    assert (refusal.status_code, refusal.code) == (503, "no_port")
    assert refusal.headers == {"Retry-After": "10"}


def test_ports_are_given_in_turn() -> None:
    ports = UdpPorts(PORTS)
    first = next(ports.each())
    others = list(ports.each())
    assert sorted(others) == list(PORTS)
    assert others[-1] == first
