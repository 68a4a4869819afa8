"""One viewer's connection: a single ICE and DTLS transport, over which everything runs.

aiortc's objects of the ORTC kind, put together without its `RTCPeerConnection`: that one cannot
refuse an m= line, close what is still connecting without leaving tasks, or take other senders.
tests/test_private_apis.py names what is used of aiortc beyond its documented interface.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from aioice.mdns import is_mdns_hostname
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceServer,
    RTCIceTransport,
    RTCRtpReceiver,
)
from aiortc.rtcrtpparameters import RTCRtpDecodingParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack

from lipstream.server.rtc.guards.datagram_guard import DatagramGuard, guard_mdns
from lipstream.server.rtc.guards.drop_log import DropLog
from lipstream.server.rtc.guards.srtp_guard import SrtpGuard
from lipstream.server.rtc.sdp.answer import Agreement, MediaPlan
from lipstream.server.rtc.udp_ports import RangedAsyncio, UdpPorts

LOOPBACK = ["127.0.0.1"]
GATHER_S = 2  # for relays and reflectors that do not answer
MAX_READ_S = 2.0  # for what waits in the sockets after this process stood still
READ_TURNS = 4  # of the event loop, for a datagram to get from a socket to its reader


class IceDtlsTransport:
    """The transports of one viewer. Everything may be called at any time after `close`."""

    def __init__(
        self,
        certificate: RTCCertificate,
        servers: Sequence[RTCIceServer],
        drops: DropLog,
        on_lost: Callable[[str], None],
        on_active: Callable[[], None],
        ports: UdpPorts | None = None,
    ) -> None:
        """`on_lost` is called, perhaps more than once, when the connection breaks, `on_active` for
        each packet of the peer that could be decrypted. Without `ports` the system chooses."""
        self._gatherer = RTCIceGatherer(list(servers))  # an empty list, too, is not the default
        self._ice = RTCIceTransport(self._gatherer)
        self.dtls = RTCDtlsTransport(self._ice, [certificate])
        self._drops = drops
        srtp = SrtpGuard(self.dtls, drops, on_active)
        self._guard = DatagramGuard(self._gatherer._connection, drops, srtp.admits)
        self._on_lost = on_lost
        self._ranged = None if ports is None else RangedAsyncio(ports)
        self._receiver: RTCRtpReceiver | None = None
        self._closed = False
        self._ice.on("statechange", self._changed)
        self.dtls.on("statechange", self._changed)

    async def gather(self) -> Sequence[RTCIceCandidate]:
        """Our own addresses; those of this machine alone when it has no network. Raises
        NoPortError."""
        connection = self._gatherer._connection
        every = self._guard.gathering(self._ranged)
        connection.get_component_candidates = partial(every, timeout=GATHER_S)  # type: ignore[method-assign]
        await self._gatherer.gather()
        if not connection.local_candidates:
            self._check_ports()
            connection._local_candidates += await every(1, LOOPBACK, GATHER_S)
            self._check_ports()
        return self._gatherer.getLocalCandidates()

    @property
    def parameters(self) -> RTCIceParameters:
        """Our ICE name and password."""
        return self._gatherer.getLocalParameters()

    async def connect(self, agreement: Agreement) -> None:
        """Return when media can flow. Raises ConnectionError."""
        self._ice._connection.ice_controlling = agreement.controlling
        self._ice._role_set = True
        self.dtls._set_role(agreement.role)
        await self._ice.start(agreement.ice)
        if self._ice.state != "completed":
            raise ConnectionError("no address of the peer could be reached")
        self._guard.settle()
        await self.dtls.start(agreement.dtls)
        if self.dtls.state != "connected":
            raise ConnectionError("the encryption could not be agreed on")

    async def add(self, candidate: RTCIceCandidate) -> None:
        """Add an address of the peer. The end of candidates is never announced: aioice would give
        up although the peer's own checks can still arrive."""
        if not self._closed:
            if is_mdns_hostname(candidate.ip):
                await guard_mdns(self._gatherer._connection, self._drops)
            await self._ice.addRemoteCandidate(candidate)

    async def receive(self, plan: MediaPlan, reporter: int) -> RemoteStreamTrack:
        """Decode what the peer sends on the line of `plan`; `reporter` is the SSRC of reports."""
        receiver = self._receiver = RTCRtpReceiver(plan.line.kind, self.dtls)
        track = receiver._track = RemoteStreamTrack(plan.line.kind)
        receiver._set_rtcp_ssrc(reporter)
        parameters = RTCRtpReceiveParameters(codecs=plan.codecs, muxId=plan.line.mid)
        number = plan.codec.payloadType
        assert number is not None
        parameters.encodings = [
            RTCRtpDecodingParameters(ssrc=description.ssrc, payloadType=number)
            for description in plan.parsed.ssrc[:1]
        ]
        await receiver.receive(parameters)
        return track

    async def read_waiting(self) -> None:
        """Return when nothing waits in the sockets, or after `MAX_READ_S`. The event loop reads one
        datagram of each at a turn, and timers do not wait for that."""
        loop = asyncio.get_running_loop()
        ends, received = loop.time() + MAX_READ_S, -1
        while received != self._guard.received and loop.time() < ends:
            received = self._guard.received
            for _ in range(READ_TURNS):
                await asyncio.sleep(0)

    async def close(self) -> None:
        """Say goodbye to the peer, and wait until the last socket and task have ended."""
        self._closed = True
        for emitter in (self._ice, self.dtls):
            emitter.remove_listener("statechange", self._changed)
        if self._receiver is not None:
            await self._receiver.stop()
        pump = self.dtls._task
        await self.dtls.stop()
        await self._ice.stop()
        if pump is not None:
            await asyncio.gather(pump, return_exceptions=True)

    def _check_ports(self) -> None:
        if self._ranged is not None:
            self._ranged.check()

    def _changed(self) -> None:
        if self.dtls.state in ("closed", "failed"):
            self._on_lost("the peer hung up")
        elif self._ice.state in ("closed", "failed"):
            self._on_lost("the peer cannot be reached any more")
