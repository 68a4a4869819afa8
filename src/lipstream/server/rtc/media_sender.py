"""A session's units to a viewer: encoded off the event loop, each sent when it is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor

from lipstream.live.session.types import Unit
from lipstream.server.rtc.bitrate import BitrateTarget
from lipstream.server.rtc.encoders import (
    AUDIO_CLOCK,
    FRAME_TICKS,
    MIN_BITRATE,
    PACKET_SAMPLES,
    EncodedPicture,
    OpusEncoder,
    VideoEncoder,
)
from lipstream.server.rtc.interfaces import Source, TransportObserver
from lipstream.server.rtc.rtp_sender import REPORT_S, MediaClock, RtpStream
from lipstream.timeline import FPS, UNIT_SAMPLES

PACKET_S = PACKET_SAMPLES / AUDIO_CLOCK  # 20 ms
KEY_GAP = 20  # frames between key frames that viewers ask for: 0.8 s


class MediaWorkers:
    """The threads in which all viewers of a process have their pictures encoded. They do not wait
    for offers, whose reading a stranger can make slow."""

    def __init__(self, video_threads: int) -> None:
        self.video = ThreadPoolExecutor(video_threads, "video-encoder")
        self.offers = ThreadPoolExecutor(1, "offers")

    def close(self) -> None:
        """Wait for what runs and end the threads. May be called twice."""
        self.video.shutdown(cancel_futures=True)
        self.offers.shutdown(cancel_futures=True)


class MediaSender:
    """Plays one source to one viewer, and does what the viewer's reports ask for."""

    def __init__(
        self,
        source: Source,
        streams: tuple[RtpStream, RtpStream],
        encoder: VideoEncoder,
        clock: MediaClock,
        workers: MediaWorkers,
        observer: TransportObserver,
        on_first: Callable[[], None] = lambda: None,
    ) -> None:
        """`streams` are those of sound and of pictures."""
        self._source, self._clock = source, clock
        self._audio, self._video = streams
        self._encoder, self._opus = encoder, OpusEncoder()
        self._workers, self._observer, self._on_first = workers, observer, on_first
        self.target = BitrateTarget(encoder.ceiling, MIN_BITRATE)
        self._sending: asyncio.Task[None] | None = None  # of the last picture, encoded first
        self._key_requested = False
        self._since_key = KEY_GAP  # frames since the last one began
        self._first_sent = False
        self._reported = 0.0  # when

    def picture_lost(self) -> None:
        """The viewer needs a key frame; it gets one as soon as the last is old enough."""
        self._key_requested = True

    async def play(self) -> None:
        """Play until the source ends."""
        units = self._source.units()
        try:
            async for unit in units:
                await self._release(unit)
        finally:
            if self._sending is not None:
                self._sending.cancel()
                await asyncio.gather(self._sending, return_exceptions=True)
            if isinstance(units, AsyncGenerator):
                await units.aclose()

    async def _release(self, unit: Unit) -> None:
        """Encode both, and send each as soon as it is encoded and due.

        Both carry the time of one clock, so neither has to wait for the other. The second packet
        of the sound leaves when its own time has come: a viewer takes two at once for a network
        that stutters, and holds all sound back by 20 ms more.
        """
        began = time.monotonic()
        late = self._clock.unit_came(float(unit.index / FPS), began)
        self._observer.unit_late(1000 * late)
        self._start_picture(unit)
        # 0.3 ms: to hand it to a thread and to be woken again costs the loop as much.
        encoding = time.perf_counter()
        packets = self._opus.encode(unit.samples)
        self._observer.encoded("audio", 1000 * (time.perf_counter() - encoding), False)
        for place, packet in enumerate(packets):
            if place:
                await asyncio.sleep(began - late + place * PACKET_S - time.monotonic())
            await self._audio.send([packet], unit.index * UNIT_SAMPLES + place * PACKET_SAMPLES)
            if not place:
                await self._report()

    def _start_picture(self, unit: Unit) -> None:
        """Have the picture encoded and sent, unless the one before it is still on its way."""
        if self._sending is not None:
            if not self._sending.done():
                self._observer.video_dropped()
                return
            self._sending.result()  # an encoder that fails ends the connection
        key = self._key_requested and self._since_key >= KEY_GAP
        self._key_requested = self._key_requested and not key
        self._since_key += 1
        self._encoder.bitrate = self.target.value
        self._sending = asyncio.create_task(self._send_picture(unit, key))

    async def _send_picture(self, unit: Unit, key: bool) -> None:
        picture, took = await asyncio.get_running_loop().run_in_executor(
            self._workers.video, self._encode_picture, unit, key
        )
        self._observer.encoded("video", took, picture.key)
        if picture.key:
            self._since_key = 1
        await self._video.send(picture.payloads, unit.index * FRAME_TICKS)
        if not self._first_sent:
            self._first_sent = True
            self._on_first()

    async def _report(self) -> None:
        """Report at once and then about every second: the first one lets the viewer align both."""
        now = time.monotonic()
        if now - self._reported >= REPORT_S:
            self._reported = now
            await self._audio.report()
            await self._video.report()

    def _encode_picture(self, unit: Unit, key: bool) -> tuple[EncodedPicture, float]:
        """Encode in a thread; the picture and how long it took, ms."""
        began = time.perf_counter()
        picture = self._encoder.encode(unit.frame, unit.index * FRAME_TICKS, key=key)
        return picture, 1000 * (time.perf_counter() - began)
