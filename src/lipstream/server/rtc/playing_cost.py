"""The processor time that a session and its viewer cost this process, measured on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import cast

import numpy as np
from aiortc import RTCDtlsTransport, RTCRtpCodecParameters, sdp
from aiortc.rtcdtlstransport import RtpRouter
from aiortc.rtp import is_rtcp
from numpy.typing import NDArray
from pylibsrtp import Policy
from pylibsrtp import Session as SrtpSession

from lipstream.errors import LipstreamError
from lipstream.live.session.session import Session
from lipstream.live.session.types import Unit
from lipstream.media.audio import AudioChunk
from lipstream.server.rtc.encoders import VideoEncoder
from lipstream.server.rtc.interfaces import TransportObserver
from lipstream.server.rtc.media_sender import MediaSender, MediaWorkers
from lipstream.server.rtc.rtp_sender import Feedback, MediaClock, RtpStream
from lipstream.server.rtc.sdp.answer import MediaPlan
from lipstream.server.rtc.sdp.parse import MediaLine

WARM_UP, UNITS = 5, 25  # units that are played, and then measured
MAX_PLAY_S = 10.0
IDLE_S = 0.4  # in which the rest of the process is measured
SRTP_KEY_BYTES = 30  # AES-128 key and salt (RFC 3711, section 8.2)


def playing_ms(
    open_session: Callable[[], Session], speech: AudioChunk, encoder: VideoEncoder
) -> tuple[float, float]:
    """Processor milliseconds per unit: of the event loop, and of the other threads of the process.

    Plays about a second of `speech` in real time, with the sender, RTP, SRTP and encoders of real
    viewers, to a socket of this machine; `speech` must be longer. The loop is one of its own in the
    calling thread. The other threads are all of the process: what they do without this session is
    measured before and subtracted. LipstreamError when the session gives no units.
    """
    return asyncio.run(_play(open_session, speech, encoder))


async def _play(
    open_session: Callable[[], Session], speech: AudioChunk, encoder: VideoEncoder
) -> tuple[float, float]:
    before = _times()
    await asyncio.sleep(IDLE_S)
    idle_wall, _, idle_process = _times() - before
    clock, workers = MediaClock(), MediaWorkers(1)
    audio, video = (RtpStream(plan, clock, "cost", Feedback()) for plan in _plans())
    loopback = SrtpLoopback()
    with (
        contextlib.closing(workers),
        contextlib.closing(loopback.socket),
        open_session() as session,
    ):
        for stream in (audio, video):
            stream.start(cast(RTCDtlsTransport, loopback))
        utterance = session.open_utterance(speech.sample_rate)
        utterance.push(speech)
        utterance.end()
        source = _MeasuredSource(session)
        observer = TransportObserver()
        sender = MediaSender(source, (audio, video), encoder, clock, workers, observer)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(sender.play(), MAX_PLAY_S)
    if source.ended is None:
        raise LipstreamError(
            f"a second of this avatar could not be played within {MAX_PLAY_S:.0f} s."
        )
    wall, loop, process = (source.ended - source.began).tolist()
    others = process - loop - float(idle_process / idle_wall) * wall
    return 1000 * loop / UNITS, max(0.0, 1000 * others / UNITS)


def _times() -> NDArray[np.float64]:
    """A moment by three clocks, in seconds: the wall's, this thread's and this process's."""
    return np.array([time.monotonic(), time.thread_time(), time.process_time()])


class _MeasuredSource:
    """The first units of a session, and the processor times at both ends of the measured ones."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.began = _times()
        self.ended: NDArray[np.float64] | None = None

    async def units(self) -> AsyncIterator[Unit]:
        count = 0
        async with contextlib.aclosing(self._session.units()) as units:
            async for unit in units:
                if count == WARM_UP:
                    self.began = _times()
                if count == WARM_UP + UNITS:
                    self.ended = _times()
                    return
                count += 1
                yield unit


class SrtpLoopback:
    """A connected DTLS transport as `RtpStream` uses it, whose peer is a socket that nobody reads:
    the system drops what does not fit into its buffer."""

    def __init__(self) -> None:
        self._rtp_router = RtpRouter()
        self._srtp = SrtpSession(Policy(os.urandom(SRTP_KEY_BYTES), Policy.SSRC_ANY_OUTBOUND))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(self.socket.getsockname())
        self.socket.setblocking(False)

    async def _send_rtp(self, packet: bytes) -> None:
        protect = self._srtp.protect_rtcp if is_rtcp(packet) else self._srtp.protect
        with contextlib.suppress(OSError):  # the buffer is full
            self.socket.send(protect(packet))


def _plans() -> list[MediaPlan]:
    kinds = (("audio", "opus", 48_000), ("video", "H264", 90_000))
    return [
        MediaPlan(
            MediaLine(index, kind, f"m={kind} 9 UDP/TLS/RTP/SAVPF {96 + index}", kind, "", ()),
            sdp.MediaDescription(kind, 9, "UDP/TLS/RTP/SAVPF", [96 + index]),
            RTCRtpCodecParameters(f"{kind}/{codec}", rate, payloadType=96 + index),
            rtx=None,
            abs_send_time=1,
        )
        for index, (kind, codec, rate) in enumerate(kinds)
    ]
