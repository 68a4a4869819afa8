"""WebRTC: one viewer's connection from offer to end, by aiortc's transports and our own senders."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from aiortc import RTCCertificate, RTCIceCandidate, RTCIceServer

from lipstream.live.clock import Clock, MonotonicClock
from lipstream.server.rtc.encoders import open_video_encoder
from lipstream.server.rtc.guards.drop_log import DropLog
from lipstream.server.rtc.ice_dtls import IceDtlsTransport
from lipstream.server.rtc.ice_servers import ice_links
from lipstream.server.rtc.interfaces import (
    SignallingError,
    Source,
    SpeechSink,
    TransportObserver,
    VoiceSink,
)
from lipstream.server.rtc.media_sender import MediaSender, MediaWorkers
from lipstream.server.rtc.microphone import Microphone
from lipstream.server.rtc.rtp_sender import Feedback, MediaClock, RtpStream, new_ssrcs
from lipstream.server.rtc.sdp.answer import Agreement, agree, answer, published
from lipstream.server.rtc.sdp.media_section import Local
from lipstream.server.rtc.sdp.parse import read_fragment, usable
from lipstream.server.rtc.settings import TransportSettings
from lipstream.server.rtc.udp_ports import UdpPorts

log = logging.getLogger(__name__)

CLOSE_S = 5  # for the network's part of closing
CANCEL_AGAIN_S = 0.1  # after which a task that still runs is cancelled once more


class WebRTCTransport(Feedback):
    """One viewer's connection, from its offer to `close`."""

    def __init__(
        self,
        source: Source,
        settings: TransportSettings,
        workers: MediaWorkers,
        *,
        drops: DropLog | None = None,
        ports: UdpPorts | None = None,
        observer: TransportObserver | None = None,
        microphone: SpeechSink | None = None,
        voice: VoiceSink | None = None,
        on_closed: Callable[[str], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`drops` counts what is not read of the peer's packets and of strangers'. `ports` are of
        its sockets; None lets the system choose. `microphone` receives the speech of the peer; None
        refuses its microphone; `voice` hears it first. `on_closed` is called once, after all is
        closed, with the reason, unless `close` ended the connection."""
        self._source, self._settings, self._workers = source, settings, workers
        self._observer = observer or TransportObserver()
        self._microphone, self._voice, self._on_closed = microphone, voice, on_closed
        self._clock = clock or MonotonicClock()
        self._drops = drops or DropLog(self._clock)
        self._ports = ports
        self._peer: IceDtlsTransport | None = None
        self._agreement: Agreement | None = None
        self._sender: MediaSender | None = None
        self._streams: list[RtpStream] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._candidates = 0
        self._active_ms = 0

    async def accept(self, offer: str) -> str:
        """An SDP offer to the SDP answer, once. Raises SignallingError, and NoPortError."""
        if self._agreement is not None:
            raise SignallingError("this connection has had its offer; open another one.")
        began = time.monotonic()
        certificate, agreement = await asyncio.get_running_loop().run_in_executor(
            self._workers.offers, self._consider, offer
        )
        self._count(agreement.text.candidates)
        self._agreement = agreement
        local = await self._open_peer(certificate)
        self._start(agreement, local, began)
        return answer(agreement, local)

    async def add_candidates(self, fragment: str) -> None:
        """Add later addresses of the peer, as `trickle-ice-sdpfrag` (RFC 8840). Raises
        SignallingError, and RestartError when it asks for an ICE restart."""
        if self._agreement is None:
            raise SignallingError("candidates can only follow an offer.")
        offer = self._agreement.text
        candidates = read_fragment(fragment, offer.username, offer.password)
        self._count(candidates)
        self._add(candidates)

    async def close(self) -> None:
        """Release everything: no task, thread or socket is left. May be called twice."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    # Reports of the peer (`rtp_sender.Feedback`)

    def picture_lost(self) -> None:
        if self._sender is not None:
            self._sender.picture_lost()

    def estimated(self, bitrate: int) -> None:
        if self._sender is not None:
            self._sender.target.estimated(bitrate)

    def reported(self, kind: str, lost: float, round_trip_s: float | None) -> None:
        if self._sender is not None and kind == "video":
            self._sender.target.lost(lost)
        round_trip_ms = None if round_trip_s is None else 1000 * round_trip_s
        self._observer.reported(kind, lost, round_trip_ms)

    async def _open_peer(self, certificate: RTCCertificate) -> Local:
        """Open the sockets of this side, and describe it. Raises NoPortError."""
        peer = self._peer = IceDtlsTransport(
            certificate, self._servers(), self._drops, self._fail, self._peer_active, self._ports
        )
        candidates = published(await peer.gather(), self._settings.public_ip)
        ssrcs = {kind: new_ssrcs() for kind in ("audio", "video")}
        dtls = peer.dtls.getLocalParameters()
        return Local(candidates, peer.parameters, dtls, ssrcs, secrets.token_hex(8))

    def _start(self, agreement: Agreement, local: Local, began: float) -> None:
        """Connect to the peer and play, in the background; `began` is when this was wanted."""
        assert self._peer is not None
        clock = MediaClock()
        plans = (agreement.audio, agreement.video)
        audio, video = (
            RtpStream(plan, clock, local.cname, self, local.ssrcs[plan.line.kind]) for plan in plans
        )
        self._streams = [audio, video]
        codec, settings = agreement.video.codec.name, self._settings
        encoder = open_video_encoder(codec, settings.bitrate, hardware=settings.hardware)
        self._sender = MediaSender(
            self._source,
            (audio, video),
            encoder,
            clock,
            self._workers,
            self._observer,
            on_first=lambda: self._observer.first_frame(1000 * (time.monotonic() - began)),
        )
        self._active_ms = self._clock.now_ms()
        self._add(agreement.text.candidates)
        self._spawn(self._run(self._peer, self._sender, agreement))

    def _consider(self, offer: str) -> tuple[RTCCertificate, Agreement]:
        """Read the offer, in a thread."""
        agreement = agree(offer, self._settings.codec, self._microphone is not None)
        return RTCCertificate.generateCertificate(), agreement

    async def _run(self, peer: IceDtlsTransport, sender: MediaSender, agreement: Agreement) -> None:
        """Connect and play to the end."""
        deadline = self._spawn(self._time_out(self._settings.connect_s, "did not connect within"))
        try:
            await peer.connect(agreement)
            self._peer_active()
            deadline.cancel()
            self._spawn(self._time_out(self._settings.watchdog_s, "sent no report for"))
            for stream in self._streams:
                stream.start(peer.dtls)
            if agreement.microphone and self._microphone is not None:
                track = await peer.receive(agreement.audio, self._streams[0].ssrcs[0])
                microphone = Microphone(self._microphone, self._drops, voice=self._voice)
                self._spawn(microphone.listen(track))
            await sender.play()
            self._fail("the session has ended")
        except ConnectionError as error:
            self._fail(str(error))
        except Exception:
            # Whatever it was, this viewer's slot must become free and the others' play on.
            log.exception("a viewer's connection failed")
            self._fail("an error of the server")

    def _peer_active(self) -> None:
        self._active_ms = self._clock.now_ms()

    async def _time_out(self, seconds: int, what: str) -> None:
        """Close the connection once nothing has come from the peer for so long.

        When this process, or its machine, has stood still, the time has passed before what came
        meanwhile was read: that is read first.
        """
        assert self._peer is not None
        judged_ms: int | None = None
        while self._active_ms != judged_ms:
            judged_ms = self._active_ms
            await self._clock.sleep_until(judged_ms + 1000 * seconds)
            await self._peer.read_waiting()
        self._fail(f"the peer {what} {seconds} s")

    def _fail(self, reason: str) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(reason))

    async def _close(self, reason: str | None = None) -> None:
        try:
            while self._tasks:
                for task in self._tasks:
                    task.cancel()
                # Before Python 3.12 `wait_for`, which aiortc uses, may swallow a cancellation.
                await asyncio.wait(self._tasks, timeout=CANCEL_AGAIN_S)
            if self._peer is not None:
                await asyncio.wait_for(self._disconnect(self._peer), CLOSE_S)
        except asyncio.TimeoutError:
            log.warning("a connection took more than %s s to close", CLOSE_S)
        finally:
            self._sender = None
            if reason is not None and self._on_closed is not None:
                self._on_closed(reason)

    async def _disconnect(self, peer: IceDtlsTransport) -> None:
        for stream in self._streams:
            await stream.stop()
        await peer.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _count(self, candidates: Sequence[RTCIceCandidate]) -> None:
        self._candidates += len(candidates)
        if self._candidates > self._settings.max_candidates:
            raise SignallingError(
                f"a peer may name {self._settings.max_candidates} candidates and no more."
            )

    def _add(self, candidates: Sequence[RTCIceCandidate]) -> None:
        """Add addresses in tasks, as the lookup of a hidden name may never be answered."""
        assert self._peer is not None
        for candidate in candidates:
            if usable(candidate, private=self._settings.private):
                self._spawn(self._add_one(self._peer, candidate))

    async def _add_one(self, peer: IceDtlsTransport, candidate: RTCIceCandidate) -> None:
        try:
            await peer.add(candidate)
        except OSError as error:
            log.info("a candidate was dropped: %s", error)

    def _servers(self) -> list[RTCIceServer]:
        """The servers of this side: to learn its public address, and to be relayed if so set."""
        return [
            RTCIceServer(list(server.urls), server.username, server.credential)
            for server in ice_links(self._settings, "server")
            if server.urls[0].startswith("stun") or self._settings.relayed
        ]
