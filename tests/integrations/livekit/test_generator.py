"""Sessions in LiveKit's own runner, in a room that only listens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pytest

pytest.importorskip("livekit.agents", reason="scripts/install --livekit brings LiveKit")

from livekit import rtc
from livekit.agents.voice.avatar import (
    AudioSegmentEnd,
    AvatarOptions,
    AvatarRunner,
    QueueAudioOutput,
)

from lipstream.engine import Engine
from lipstream.integrations.livekit.generator import PicturePace, SessionVideoGenerator, video_frame
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.session.session import Session
from tests.fakes import blank_avatar, stripe_backend
from tests.integrations.livekit.speech import audio_frames, tone

pytestmark = [pytest.mark.agents, pytest.mark.alone]

SIZE = 64
Given: TypeAlias = rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd


@asynccontextmanager
async def live_session() -> AsyncIterator[Session]:
    """A session whose pictures cost nothing."""
    with Scheduler(Engine(stripe_backend())) as scheduler:
        with Session(blank_avatar(SIZE, SIZE), scheduler) as session:
            yield session


def run(test: Callable[[Session], Coroutine[Any, Any, None]]) -> None:
    async def with_session() -> None:
        async with live_session() as session:
            await asyncio.wait_for(test(session), 20)

    asyncio.run(with_session())


async def push(generator: SessionVideoGenerator, seconds: float, *, end: bool = True) -> None:
    for frame in audio_frames(tone(seconds)):
        await generator.push_audio(frame)
    if end:
        await generator.push_audio(AudioSegmentEnd())


def kinds(given: list[Given]) -> str:
    """v, a and E, in order, from the first sound to the last end."""
    letters = {rtc.VideoFrame: "v", rtc.AudioFrame: "a", AudioSegmentEnd: "E"}
    word = "".join(letters[type(one)] for one in given)
    return word[word.find("a") : word.rfind("E") + 1]


async def collect(generator: SessionVideoGenerator, given: list[Given], ends: int) -> None:
    """Note what a generator gives, up to so many ends."""
    stream = generator.__aiter__()
    async for one in stream:
        given.append(one)
        if sum(isinstance(before, AudioSegmentEnd) for before in given) == ends:
            break
    await stream.aclose()  # type: ignore[attr-defined]


def test_sound_has_one_unit_in_hand_and_ends_when_it_was_heard() -> None:
    given: list[Given] = []

    async def say(session: Session) -> None:
        generator = SessionVideoGenerator(session)
        await asyncio.gather(push(generator, 0.3), collect(generator, given, 1))

    run(say)
    # 8 units: two at once, then one with each picture, and two pictures until all have left.
    assert re.fullmatch("aa(va){6}vv+E", kinds(given))


def test_a_segment_of_one_unit_is_not_held() -> None:
    given: list[Given] = []

    async def say(session: Session) -> None:
        generator = SessionVideoGenerator(session)
        await asyncio.gather(push(generator, 0.03), collect(generator, given, 1))

    run(say)
    assert re.fullmatch("avv+E", kinds(given))


def test_the_next_segment_is_taken_after_the_end_of_the_one_before() -> None:
    given: list[Given] = []

    async def pair(session: Session) -> None:
        generator = SessionVideoGenerator(session)

        async def both() -> None:
            await push(generator, 0.2)
            assert kinds(given).count("E") == 1 and not session.buffered_ms
            await push(generator, 0.1)

        await asyncio.gather(both(), collect(generator, given, 2))

    run(pair)
    assert kinds(given).replace("v", "") == "aaaaa" + "E" + "aaa" + "E"


def test_an_interrupt_fades_out_and_wipes_nothing_that_comes_after() -> None:
    given: list[Given] = []

    async def cut(session: Session) -> None:
        generator = SessionVideoGenerator(session)
        collecting = asyncio.create_task(collect(generator, given, 1))
        await push(generator, 2.0, end=False)
        while sum(isinstance(one, rtc.AudioFrame) for one in given) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await generator.clear_buffer()
        played = [one for one in given if isinstance(one, rtc.AudioFrame)]
        faded = np.frombuffer(played[-1].data, np.int16)
        assert faded[:480].any() and not faded[960:].any()
        assert not session.buffered_ms
        await push(generator, 0.1)
        await collecting
        after = [one for one in given if isinstance(one, rtc.AudioFrame)][len(played) :]
        assert len(after) == 3

    run(cut)


def test_an_interrupt_frees_who_waits_for_room_or_for_an_end() -> None:
    async def cut(session: Session) -> None:
        generator = SessionVideoGenerator(session)  # whose pictures nobody takes
        pushing = asyncio.create_task(push(generator, 65.0))
        await asyncio.sleep(0.2)
        assert not pushing.done()
        await generator.clear_buffer()
        await asyncio.sleep(0.2)
        assert not pushing.done()  # the rest was taken for another segment, which is not played
        await generator.clear_buffer()
        await pushing
        assert not session.buffered_ms

    run(cut)


def test_what_an_ended_session_cannot_say_is_over_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def late(session: Session) -> None:
        generator = SessionVideoGenerator(session)
        given: list[Given] = []
        collecting = asyncio.create_task(collect(generator, given, 1))
        await asyncio.sleep(0.1)
        session.close()
        await push(generator, 0.05, end=False)
        await collecting
        assert "is not spoken" in caplog.text

    run(late)


def test_planes_are_given_as_they_are() -> None:
    planes = np.arange(24 * 16, dtype=np.uint8).reshape(24, 16)
    frame = video_frame(planes)
    assert (frame.width, frame.height) == (16, 16)
    assert frame.type == rtc.VideoBufferType.I420 and bytes(frame.data) == planes.tobytes()


def test_pictures_that_would_wait_are_left_out() -> None:
    pace, taken = PicturePace(), []
    # A burst at the beginning, then one every 40 ms; a stall, a burst, and so on.
    moments_ms = [0, 1, 2, 33, 73, 113, 153, 453, 454, 455, 456, 473, 513, 900, 901, 940, 980]
    for ms in moments_ms:
        if pace.in_time(ms / 1000):
            pace.taken(ms / 1000)
            taken.append(ms)
    # Behind by up to 300 ms a runner makes up for what is missing; later it does not.
    assert taken == [0, 33, 73, 113, 153, 453, 454, 455, 456, 473, 513, 900, 940, 980]


@dataclass
class DeafRoom(rtc.EventEmitter[str]):
    """Takes tracks and sends nothing."""

    told: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.local_participant = self
        self.identity = "avatar"

    async def publish_track(self, track: object, options: object = None) -> DeafRoom:
        return self

    async def wait_for_subscription(self) -> None:
        return None

    def isconnected(self) -> bool:
        return True


def test_the_stock_runner_tells_of_pairs_and_interrupts() -> None:
    """Started and finished once for each, with the runner and the queue as LiveKit ships them."""

    async def scene(session: Session) -> None:
        sink, told = QueueAudioOutput(sample_rate=24_000, wait_playback_start=True), list[Any]()
        sink.on("playback_started", lambda _: told.append("started"))
        sink.on("playback_finished", told.append)
        runner = AvatarRunner(
            DeafRoom(),
            audio_recv=sink,
            video_gen=SessionVideoGenerator(session),
            options=AvatarOptions(SIZE, SIZE, 25, 48_000, 1),
        )
        await runner.start()

        async def say(seconds: float) -> None:
            for frame in audio_frames(tone(seconds)):
                await sink.capture_frame(frame)
            sink.flush()

        for seconds in (0.4, 0.2, 0.05):  # back to back, the last of a single frame
            await say(seconds)
        await sink.wait_for_playout()
        await say(3.0)
        while told[-1] != "started":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        sink.clear_buffer()
        cut = await sink.wait_for_playout()
        await runner.aclose()
        assert [told[index] for index in (0, 2, 4, 6)] == ["started"] * 4 and len(told) == 8
        positions = [told[index].playback_position for index in (1, 3, 5)]
        assert positions == pytest.approx([0.4, 0.2, 0.05], abs=0.04)
        assert cut.interrupted and 0.2 < cut.playback_position < 1.0

    run(scene)
