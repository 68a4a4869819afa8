"""Units on their way out: together, on time, and with few key frames. The network is a fake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from lipstream.live.session import Unit
from lipstream.server.rtc.encoders import EncodedPicture, H264Encoder
from lipstream.server.rtc.interfaces import TransportObserver
from lipstream.server.rtc.media_sender import KEY_GAP, MediaSender, MediaWorkers
from lipstream.server.rtc.rtp_sender import MediaClock
from tests.server.sources import MarkedSource


class Outlet:
    """Stands for an RTP stream: notes what is sent and when reports are."""

    def __init__(self, log: list[tuple[str, int]], kind: str) -> None:
        self.log, self.kind, self.reports = log, kind, 0

    async def send(self, payloads: list[bytes], ticks: int) -> None:
        self.log.append((self.kind, ticks))

    async def report(self) -> None:
        self.reports += 1


class Encoder(H264Encoder):
    """Takes as long as it is told, by an event."""

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


class Feed:
    """Gives out a unit each time it is asked to, and only then."""

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


class Rig:
    """A player with fakes on all sides."""

    def __init__(self, workers: MediaWorkers) -> None:
        self.log: list[tuple[str, int]] = []
        self.streams = Outlet(self.log, "audio"), Outlet(self.log, "video")
        self.encoder, self.feed, self.observer, self.first = Encoder(), Feed(), Observer(), 0
        self.player = MediaSender(
            self.feed,
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
        rig = Rig(workers)
        playing = asyncio.ensure_future(rig.player.play())
        expected: list[tuple[str, int]] = []
        for index in (7, 8, 12):
            rig.feed.give(index)
            expected += [("audio", index * 1920), ("audio", index * 1920 + 960)]
            expected += [("video", index * 3600)]
            await rig.until(len(expected))
            assert sorted(rig.log) == sorted(expected)
        rig.feed.queue.put_nowait(None)
        await playing
        assert rig.first == 1 and rig.feed.closed
        assert [stream.reports for stream in rig.streams] == [1, 1]

    run(scenario())


def test_sound_does_not_wait_for_a_slow_picture(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        rig = Rig(workers)
        playing = asyncio.ensure_future(rig.player.play())
        rig.encoder.free.clear()
        rig.feed.give(0, 1, 2)
        await rig.until(6)
        assert {kind for kind, _ in rig.log} == {"audio"}
        assert rig.observer.dropped == 2  # while picture 0 was still being encoded
        rig.encoder.free.set()
        await rig.until(7)
        assert rig.log[-1] == ("video", 0)
        rig.feed.give(3)
        await rig.until(10)
        assert ("video", 3 * 3600) in rig.log
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        assert rig.feed.closed

    run(scenario())


def test_key_frames_are_given_at_once_but_not_all_the_time(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        rig = Rig(workers)
        playing = asyncio.ensure_future(rig.player.play())
        for index in range(3 * KEY_GAP):
            rig.player.picture_lost()
            rig.feed.give(index)
            await rig.until(3 * (index + 1))
        places = [place for place, key in enumerate(rig.encoder.keys) if key]
        assert places == [0, KEY_GAP, 2 * KEY_GAP]
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)

    run(scenario())


def test_the_encoder_is_told_the_bit_rate(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        rig = Rig(workers)
        rig.player.target.estimated(400_000)
        playing = asyncio.ensure_future(rig.player.play())
        rig.feed.give(0)
        await rig.until(3)
        rig.feed.queue.put_nowait(None)
        await playing
        assert rig.encoder.rates == [400_000]


def test_an_encoder_that_fails_ends_the_connection(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        rig = Rig(workers)
        rig.encoder.rates = None  # type: ignore[assignment]
        rig.feed.give(*range(50))
        with pytest.raises(AttributeError):
            await rig.player.play()

    run(scenario())

    run(scenario())


def test_cancelled_in_the_middle_it_leaves_nothing(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        rig = Rig(workers)
        rig.encoder.free.clear()
        playing = asyncio.ensure_future(rig.player.play())
        rig.feed.give(0)
        await rig.until(2)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        rig.encoder.free.set()  # whether a task is left, every test is asked

    run(scenario())
