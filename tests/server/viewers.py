"""A viewer in the test's own process: aiortc's peer connection, and notes of all it received."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from aiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from tests.server.sources import read_mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.server.rtc.connection import WebRTCTransport


@dataclass(slots=True)
class DecodedPicture:
    """One decoded picture."""

    index: int  # what is painted in it
    pts: int
    arrived: float
    size: tuple[int, int]


@dataclass(slots=True)
class DecodedSound:
    """One decoded piece of sound, as mono float."""

    pts: int
    arrived: float
    samples: NDArray[np.float64]


@dataclass
class Viewer:
    """Receives one session. `video` is the only codec it offers, or None for all."""

    video: str | None = None
    microphone: MediaStreamTrack | None = None
    pictures: list[DecodedPicture] = field(default_factory=list)
    sounds: list[DecodedSound] = field(default_factory=list)
    pc: RTCPeerConnection = field(init=False)
    answer: str = ""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def offer(self) -> str:
        """The SDP of a viewer of both picture and sound."""
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.on("track", self._receive)
        if self.microphone is None:
            self.pc.addTransceiver("audio", direction="recvonly")
        else:
            self.pc.addTransceiver(self.microphone, direction="sendrecv")
        line = self.pc.addTransceiver("video", direction="recvonly")
        if self.video is not None:
            known = RTCRtpReceiver.getCapabilities("video")
            assert known is not None
            chosen = (self.video, "rtx")
            line.setCodecPreferences([c for c in known.codecs if c.name.lower() in chosen])
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp

    async def take(self, answer: str) -> None:
        self.answer = answer
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def answer_to(self, offer: str) -> str:
        """The SDP answer to the offer of a publisher."""
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.on("track", self._receive)
        await self.pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        return self.pc.localDescription.sdp

    async def connect(self, transport: WebRTCTransport) -> None:
        """Offer, answer, and return: media comes when it comes."""
        await self.take(await transport.accept(await self.offer()))

    async def until(self, pictures: int, timeout: float = 15.0) -> None:
        """Wait for so many decoded pictures."""
        end = time.monotonic() + timeout
        while len(self.pictures) < pictures:
            assert time.monotonic() < end, f"{len(self.pictures)} of {pictures} pictures"
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        connections = {r.transport.transport._connection for r in self.pc.getReceivers()}
        await self.pc.close()
        # Closed while it connects, aiortc leaves a task that begins only now.
        await asyncio.sleep(0.03)
        late = {connection._query_consent_task for connection in connections} - {None}
        tasks = [*self._tasks, *(task for task in late if task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def insist(self) -> None:
        """Ask for missing packets again and again, as browsers do; aiortc asks only when it
        notices the next gap. Run as a task."""
        receiver = next(r for r in self.pc.getReceivers() if r.track.kind == "video")
        nacks = receiver._RTCRtpReceiver__nack_generator  # type: ignore[attr-defined]
        while True:
            await asyncio.sleep(0.04)
            for stream in receiver._RTCRtpReceiver__remote_streams:  # type: ignore[attr-defined]
                if nacks.missing:
                    await receiver._send_rtcp_nack(stream, sorted(nacks.missing))
                break

    def _receive(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.ensure_future(self._note(track)))

    async def _note(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                now = time.monotonic()
                assert frame.pts is not None
                if isinstance(frame, VideoFrame):
                    luma = frame.to_ndarray(format="gray").astype(np.uint8, copy=False)
                    size = (frame.width, frame.height)
                    self.pictures.append(DecodedPicture(read_mark(luma), frame.pts, now, size))
                elif isinstance(frame, AudioFrame):
                    channels = len(frame.layout.channels)
                    samples = frame.to_ndarray().reshape(-1, channels).mean(axis=1) / 32768
                    self.sounds.append(DecodedSound(frame.pts, now, samples))
