"""The time that one viewer's media cost the event loop, measured on this machine."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import TYPE_CHECKING, cast

import numpy as np
from aiortc import RTCDtlsTransport, RTCRtpCodecParameters, sdp
from aiortc.rtcdtlstransport import RtpRouter
from aiortc.rtp import is_rtcp
from pylibsrtp import Policy, Session

from lipstream.live.session import Unit
from lipstream.server.rtc.encoders import EncodedPicture, H264Encoder
from lipstream.server.rtc.interfaces import TransportObserver
from lipstream.server.rtc.media_sender import MediaSender, MediaWorkers
from lipstream.server.rtc.rtp_sender import MediaClock, RtpStream
from lipstream.server.rtc.sdp_answer import MediaPlan
from lipstream.server.rtc.sdp_parse import MediaLine
from lipstream.timeline import FPS, UNIT_MS, UNIT_SAMPLES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lipstream.media.image import Picture

UNITS = 25  # one second
PAYLOAD_BYTES = 1_200  # of a video packet, about
SRTP_KEY_BYTES = 30  # AES-128 key and salt (RFC 3711, section 8.2)


def sending_ms(bitrate: int) -> float:
    """Processor milliseconds of an event loop per unit of a viewer; `bitrate` is of the video.

    Plays a second of media in real time with the sender, RTP, SRTP and the Opus encoder of real
    viewers, to a socket of this machine. The video encoder, which has threads of its own, is left
    out. The time of the calling thread is counted, so it may be busy elsewhere meanwhile.
    """
    return asyncio.run(_play(bitrate))


async def _play(bitrate: int) -> float:
    workers, clock = MediaWorkers(1), MediaClock()
    feedback = _NoFeedback()
    audio, video = (RtpStream(plan, clock, "cost", feedback) for plan in _plans())
    try:
        with SrtpLoopback() as loopback:
            for stream in (audio, video):
                stream.start(cast(RTCDtlsTransport, loopback))
            encoder = _FixedEncoder(bitrate)
            sender = MediaSender(
                _Metronome(),
                (audio, video),
                encoder,
                clock,
                workers,
                TransportObserver(),
                on_first=lambda: None,
            )
            before = time.thread_time()
            await sender.play()
            return 1000 * (time.thread_time() - before) / UNITS
    finally:
        workers.close()


class SrtpLoopback:
    """A connected DTLS transport as `RtpStream` uses it, whose peer is a socket that nobody reads.

    What does not fit into that socket's buffer is dropped by the system.
    """

    def __init__(self) -> None:
        self._rtp_router = RtpRouter()
        policy = Policy(os.urandom(SRTP_KEY_BYTES), Policy.SSRC_ANY_OUTBOUND)
        self._srtp = Session(policy)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.connect(self._socket.getsockname())
        self._socket.setblocking(False)

    def __enter__(self) -> SrtpLoopback:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def _send_rtp(self, packet: bytes) -> None:
        protect = self._srtp.protect_rtcp if is_rtcp(packet) else self._srtp.protect
        try:
            self._socket.send(protect(packet))
        except OSError:
            return  # its buffer is full


class _Metronome:
    """A second of units, each when it is due."""

    async def units(self) -> AsyncIterator[Unit]:
        picture = np.zeros((2, 2, 3), np.uint8)
        noise = np.random.default_rng(0).normal(0, 3000, UNIT_SAMPLES).astype(np.int16)
        began = time.monotonic()
        for index in range(UNITS):
            await asyncio.sleep(began + index * UNIT_MS / 1000 - time.monotonic())
            yield Unit(index, picture, noise, speaking=True, fresh=True)


class _FixedEncoder(H264Encoder):
    """Gives the payloads of an average picture without encoding one."""

    def __init__(self, bitrate: int) -> None:
        super().__init__(bitrate)
        count = max(1, round(bitrate / float(FPS) / 8 / PAYLOAD_BYTES))
        self._average = EncodedPicture([bytes(PAYLOAD_BYTES)] * count, key=False)

    def encode(self, picture: Picture, pts: int, *, key: bool = False) -> EncodedPicture:
        return self._average


class _NoFeedback:
    """Ignores reports; none come."""

    def peer_active(self) -> None: ...
    def picture_lost(self) -> None: ...
    def estimated(self, bitrate: int) -> None: ...
    def reported(self, kind: str, lost: float, round_trip_s: float | None) -> None: ...


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
