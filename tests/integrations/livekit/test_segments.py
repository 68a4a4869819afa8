"""Segments reach a runner one at a time, and an agent is told of each exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

pytest.importorskip("livekit.agents", reason="scripts/install --livekit brings LiveKit")

from livekit.agents.voice.avatar import AudioSegmentEnd

from lipstream.integrations.livekit.segments import Segment, SegmentReceiver
from tests.integrations.livekit.speech import audio_frames, tone

pytestmark = pytest.mark.agents


class Told(SegmentReceiver):
    """Notes what an agent is told, and whether a runner is asked to clear."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str | tuple[float, bool]] = []
        self.cleared = 0
        self.on("clear_buffer", self._count)

    def _count(self) -> None:
        self.cleared += 1

    def tell_started(self) -> None:
        self.told.append("started")

    def tell_finished(self, position_s: float, interrupted: bool) -> None:
        self.told.append((round(position_s, 3), interrupted))

    def say(self, seconds: float) -> Segment:
        """A whole segment."""
        segment = self.open_segment()
        for frame in audio_frames(tone(seconds)):
            segment.push(frame)
        segment.complete = True
        self.changed()
        return segment


async def take(receiver: Told, frames: int) -> None:
    """Take frames as a runner does."""
    for _ in range(frames):
        assert not isinstance(await receiver.__anext__(), AudioSegmentEnd)


async def nothing_comes(receiver: Told) -> bool:
    """True when the runner has to wait."""
    asked = asyncio.ensure_future(receiver.__anext__())
    for _ in range(5):
        await asyncio.sleep(0)
    came = asked.done()
    asked.cancel()
    return not came


def run(test: Callable[[Told], Awaitable[None]]) -> Told:
    async def with_receiver() -> Told:
        receiver = Told()
        await asyncio.wait_for(test(receiver), 5)
        return receiver

    return asyncio.run(with_receiver())


def test_the_next_segment_waits_for_the_end_of_the_one_before() -> None:
    async def pair(receiver: Told) -> None:
        receiver.say(0.1), receiver.say(0.05)
        await take(receiver, 2)
        assert isinstance(await receiver.__anext__(), AudioSegmentEnd)
        receiver.notify_playback_started()
        assert await nothing_comes(receiver)
        receiver.notify_playback_finished(0.12, False)
        await take(receiver, 1)
        receiver.notify_playback_started()
        receiver.notify_playback_started()  # of a unit that fades out
        receiver.notify_playback_finished(0.04, False)

    assert run(pair).told == ["started", (0.1, False), "started", (0.04, False)]


def test_an_interrupt_tells_of_all_that_came() -> None:
    async def three(receiver: Told) -> None:
        for _ in range(3):
            receiver.say(0.2)
        await take(receiver, 2)
        receiver.notify_playback_started()
        receiver.clear_segments()
        assert receiver.cleared == 1 and receiver.told == ["started"]
        receiver.say(0.1)  # at the same moment, and not of what was interrupted
        assert await nothing_comes(receiver)
        receiver.notify_playback_finished(0.08, True)
        assert receiver.told == ["started", (0.08, True), (0.0, True), (0.0, True)]
        await take(receiver, 2)

    run(three)


def test_what_no_runner_has_begun_is_told_of_at_once() -> None:
    async def early(receiver: Told) -> None:
        first, second = receiver.say(0.2), receiver.say(0.2)
        receiver.clear_segments()
        assert receiver.cleared == 0 and first.cleared and second.cleared
        assert await nothing_comes(receiver)

    assert run(early).told == [(0.0, True), (0.0, True)]


def test_a_second_interrupt_changes_nothing() -> None:
    async def twice(receiver: Told) -> None:
        receiver.say(0.2)
        await take(receiver, 1)
        receiver.clear_segments()
        receiver.clear_segments()
        receiver.notify_playback_finished(0.04, True)
        receiver.notify_playback_finished(0.04, True)
        receiver.clear_segments()

    assert run(twice).told == [(0.04, True)]


def test_sound_of_an_interrupted_segment_is_dropped() -> None:
    async def late(receiver: Told) -> None:
        segment = receiver.open_segment()
        segment.push(next(audio_frames(tone(0.05))))
        await take(receiver, 1)
        receiver.clear_segments()
        segment.push(next(audio_frames(tone(0.05))))
        receiver.notify_playback_finished(0.0, True)
        segment.complete = True
        assert await nothing_comes(receiver) and receiver.waiting_s == 0

    assert run(late).told == [(0.0, True)]


def test_an_empty_segment_is_finished_without_the_runner() -> None:
    async def empty(receiver: Told) -> None:
        receiver.say(0.0), receiver.say(0.05)
        await take(receiver, 1)

    assert run(empty).told == [(0.0, False)]


def test_the_end_of_all_leaves_nobody_waiting() -> None:
    async def closed(receiver: Told) -> None:
        receiver.say(0.1), receiver.say(0.1)
        await take(receiver, 1)
        waiting = asyncio.ensure_future(take(receiver, 5))
        await receiver.aclose()
        with pytest.raises(StopAsyncIteration):
            await receiver.__anext__()
        waiting.cancel()

    assert run(closed).told == [(0.0, True), (0.0, True)]
