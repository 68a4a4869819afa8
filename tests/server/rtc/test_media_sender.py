"""Units on their way out: together, on time, and with few key frames. The network is a fake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from lipstream.live.session.types import Unit
from lipstream.server.rtc.encoders import EncodedPicture, H264Encoder
from lipstream.server.rtc.interfaces import TransportObserver
from lipstream.server.rtc.media_sender import KEY_GAP, MediaSender, MediaWorkers
from lipstream.server.rtc.rtp_sender import MediaClock
from tests.server.sources import MarkedSource


class FakeRtpStream:
    """Notes what is sent and how many reports."""

    def __init__(self, log: list[tuple[str, int]], kind: str) -> None:
        self.log, self.kind, self.reports = log, kind, 0

    async def send(self, payloads: list[bytes], ticks: int) -> None:
        self.log.append((self.kind, ticks))

    async def report(self) -> None:
        self.reports += 1


class Encoder(H264Encoder):
    """Encodes nothing, and only while `free` is set."""

    def __init__(self) -> None:
        self.ceiling = self.bitrate = 1_000_000
        self.free = threading.Event()
        self.free.set()
        self.keys: list[bool] = []
        self.rates: list[int] = []

    def encode(self, picture: Any, pts: int, *, key: bool = False) -> EncodedPicture:
        self.free.wait(10)
        self.keys.append(key)
        self.rates.append(self.bitrate)
        return EncodedPicture([b"x"], key)


class ManualSource:
    """Gives out the units that a test puts into its queue."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Unit | None] = asyncio.Queue()
        self.closed = False
        self._source = MarkedSource((32, 32))

    def give(self, *indices: int) -> None:
        for index in indices:
            self.queue.put_nowait(self._source.unit(index))

    async def units(self) -> AsyncIterator[Unit]:
        try:
            while (unit := await self.queue.get()) is not None:
                yield unit
        finally:
            self.closed = True


class Observer(TransportObserver):
    def __init__(self) -> None:
        self.dropped = 0

    def video_dropped(self) -> None:
        self.dropped += 1


class SenderSetup:
    """A media sender and fakes of all that it uses."""

    def __init__(self, workers: MediaWorkers) -> None:
        self.log: list[tuple[str, int]] = []
        self.streams = FakeRtpStream(self.log, "audio"), FakeRtpStream(self.log, "video")
        self.encoder, self.source, self.observer, self.first = (
            Encoder(),
            ManualSource(),
            Observer(),
            0,
        )
        self.sender = MediaSender(
            self.source,
            self.streams,  # type: ignore[arg-type]
            self.encoder,
            MediaClock(),
            workers,
            self.observer,
            on_first=self._count,
        )

    def _count(self) -> None:
        self.first += 1

    async def until(self, sent: int) -> None:
        """Wait until so much was sent."""
        while len(self.log) < sent:  # noqa: ASYNC110  threads encode, which have no event to give
            await asyncio.sleep(0.001)


@pytest.fixture
def workers() -> Iterator[MediaWorkers]:
    pool = MediaWorkers(1)
    yield pool
    pool.close()
    pool.close()


def run(scenario: Any) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


def test_sound_and_picture_of_a_unit_leave_with_their_own_times(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        setup = SenderSetup(workers)
        playing = asyncio.ensure_future(setup.sender.play())
        expected: list[tuple[str, int]] = []
        for index in (7, 8, 12):
            setup.source.give(index)
            expected += [("audio", index * 1920), ("audio", index * 1920 + 960)]
            expected += [("video", index * 3600)]
            await setup.until(len(expected))
            assert sorted(setup.log) == sorted(expected)
        setup.source.queue.put_nowait(None)
        await playing
        assert setup.first == 1 and setup.source.closed
        assert [stream.reports for stream in setup.streams] == [1, 1]

    run(scenario())


def test_sound_does_not_wait_for_a_slow_picture(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        setup = SenderSetup(workers)
        playing = asyncio.ensure_future(setup.sender.play())
        setup.encoder.free.clear()
        setup.source.give(0, 1, 2)
        await setup.until(6)
        assert {kind for kind, _ in setup.log} == {"audio"}
        assert setup.observer.dropped == 2  # while picture 0 was still being encoded
        setup.encoder.free.set()
        await setup.until(7)
        assert setup.log[-1] == ("video", 0)
        setup.source.give(3)
        await setup.until(10)
        assert ("video", 3 * 3600) in setup.log
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        assert setup.source.closed

    run(scenario())


def test_key_frames_are_given_at_once_but_not_all_the_time(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        setup = SenderSetup(workers)
        playing = asyncio.ensure_future(setup.sender.play())
        for index in range(3 * KEY_GAP):
            setup.sender.picture_lost()
            setup.source.give(index)
            await setup.until(3 * (index + 1))
        places = [place for place, key in enumerate(setup.encoder.keys) if key]
        assert places == [0, KEY_GAP, 2 * KEY_GAP]
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)

    run(scenario())


def test_the_encoder_is_told_the_bit_rate(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        setup = SenderSetup(workers)
        setup.sender.target.estimated(400_000)
        playing = asyncio.ensure_future(setup.sender.play())
        setup.source.give(0)
        await setup.until(3)
        setup.source.queue.put_nowait(None)
        await playing
        assert setup.encoder.rates == [400_000]

    run(scenario())


def test_an_encoder_that_fails_ends_the_connection(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        setup = SenderSetup(workers)
        setup.encoder.rates = None  # type: ignore[assignment]
        setup.source.give(*range(50))
        with pytest.raises(AttributeError):
            await setup.sender.play()

    run(scenario())


def test_cancelled_in_the_middle_it_leaves_nothing(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        setup = SenderSetup(workers)
        setup.encoder.free.clear()
        playing = asyncio.ensure_future(setup.sender.play())
        setup.source.give(0)
        await setup.until(2)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        setup.encoder.free.set()  # whether a task is left, every test is asked

    run(scenario())
