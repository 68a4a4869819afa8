"""Receivers of live sessions that are measured: encoders without a network, or WebRTC."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, cast

from benchmarks.cpu.load_generator import MeasuredSession
from lipstream.server.admission import usable_cores
from lipstream.server.rtc.connection import WebRTCTransport
from lipstream.server.rtc.encoders import open_video_encoder
from lipstream.server.rtc.media_sender import MediaSender, MediaWorkers
from lipstream.server.rtc.rtp_sender import MediaClock, RtpStream
from lipstream.server.rtc.settings import TransportSettings

BITRATE = TransportSettings().bitrate

Disconnect = Callable[[], Awaitable[None]]


class Receivers(Protocol):
    """The takers of sessions' units."""

    async def connect(self, source: MeasuredSession) -> Disconnect:
        """Play `source` from now on; call the returned function to stop."""
        ...

    def cpu_s(self) -> float:
        """Processor time that it has used itself."""
        ...

    def close(self) -> None: ...


class NullStream:
    """In place of an RTP stream: everything is encoded and nothing is sent."""

    async def send(self, payloads: Sequence[bytes], ticks: int) -> None:
        pass

    async def report(self) -> None:
        pass


class EncodeOnly:
    """Encodes and sends nothing: the cost of a session without its network."""

    def __init__(self) -> None:
        self._workers = MediaWorkers(usable_cores())

    async def connect(self, source: MeasuredSession) -> Disconnect:
        stream = cast(RtpStream, NullStream())
        player = MediaSender(
            source,
            (stream, stream),
            open_video_encoder("H264", BITRATE, hardware=False),
            MediaClock(),
            self._workers,
            source,
            on_first=lambda: None,
        )
        playing = asyncio.create_task(player.play())

        async def disconnect() -> None:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

        return disconnect

    def cpu_s(self) -> float:
        return 0.0

    def close(self) -> None:
        self._workers.close()


class WebRtcReceivers:
    """Real connections to `receiver_process.py`, a process that receives and does not decode."""

    def __init__(self) -> None:
        self._workers = MediaWorkers(usable_cores())
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("receiver_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def connect(self, source: MeasuredSession) -> Disconnect:
        transport = WebRTCTransport(source, TransportSettings(), self._workers, observer=source)
        self._count += 1
        offer = await asyncio.to_thread(self._ask, {"viewer": self._count})
        answer = await transport.accept(offer["sdp"])
        await asyncio.to_thread(self._ask, {"viewer": self._count, "sdp": answer})
        return transport.close

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
        self._workers.close()

    def _ask(self, message: dict[str, object]) -> dict[str, str]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        answer: dict[str, str] = json.loads(self._process.stdout.readline())
        return answer
