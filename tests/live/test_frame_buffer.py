"""A frame buffer on a clock moved by hand: what is seen when, whatever comes when."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.errors import OptionError
from lipstream.live.clock import ManualClock
from lipstream.live.frame_buffer import FrameBuffer
from lipstream.media.image import TimedFrame


class HastyClock:
    """Jumps to wherever somebody wants to sleep to."""

    def __init__(self) -> None:
        self.now = 0

    def now_ms(self) -> int:
        return self.now

    async def sleep_until(self, moment_ms: int) -> None:
        # Whoever sleeps longest moves the clock: nothing else is running by then.
        await asyncio.sleep(0)
        self.now = max(self.now, moment_ms)


def frame(index: int) -> TimedFrame:
    return TimedFrame(np.full((2, 2, 3), index % 256, np.uint8), 40 * index)


def index_of(picture: Any) -> int:
    """The index that `frame` painted, modulo 256."""
    return int(picture[0, 0, 0])


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, 20))


def test_the_original_calls_by_position_and_by_keyword() -> None:
    async def scenario() -> None:
        buffer = FrameBuffer(target_fps=25, buffer_ms=40)
        assert (buffer.target_fps, buffer.frame_duration_ms) == (25, 40.0)
        assert buffer.last_frame is None and not buffer.running
        first, second, third = (frame(index).frame for index in range(3))
        await buffer.add_frame(first, 0)
        await buffer.add_frame(frame=second, timestamp_ms=40.0)
        await buffer.add_frame(TimedFrame(third, 80))
        assert [timed.timestamp_ms for timed in buffer.frames] == [0, 40, 80]
        assert await buffer.get_frame(0) is first is buffer.last_frame
        assert await buffer.get_frame(current_time_ms=40.5) is second
        assert len(buffer.frames) == 1
        with pytest.raises(OptionError, match="timestamp_ms must be given"):
            await buffer.add_frame(third)

    run(scenario())


def test_playback_waits_for_its_buffer_once() -> None:
    async def scenario() -> list[int | None]:
        buffer = FrameBuffer(25, 200)
        seen = []
        for index in range(8):
            await buffer.add_frame(frame(index))
            shown = await buffer.get_frame(40 * index)
            seen.append(None if shown is None else index_of(shown))
        return seen

    assert run(scenario()) == [None, None, None, None, 0, 1, 2, 3]


def test_a_missing_frame_repeats_the_last_and_a_late_one_is_dropped() -> None:
    async def scenario() -> tuple[list[int], FrameBuffer]:
        buffer = FrameBuffer(25, 80, capacity=10)
        for index in range(2):
            await buffer.add_frame(frame(index))
        seen = []
        for tick in range(7):
            if tick == 4:  # frames 2 and 3 come when 4 is due
                for index in range(2, 8):
                    await buffer.add_frame(frame(index))
            seen.append(index_of(await buffer.get_frame(1000 + 40 * tick)))
        return seen, buffer

    seen, buffer = run(scenario())
    assert seen == [0, 1, 1, 1, 4, 5, 6]
    assert (buffer.repeated, buffer.dropped) == (2, 2)


def test_frames_far_too_late_are_not_shown() -> None:
    async def scenario() -> tuple[int, int]:
        buffer = FrameBuffer(25, 80)
        await buffer.add_frame(frame(0))
        await buffer.add_frame(frame(1))
        await buffer.get_frame(0)
        await buffer.get_frame(40)
        await buffer.add_frame(frame(2))
        return index_of(await buffer.get_frame(2000)), buffer.dropped

    assert run(scenario()) == (1, 1)


def test_the_end_is_played_to_the_last_frame_then_nothing() -> None:
    async def scenario() -> list[int]:
        buffer = FrameBuffer(25, 200, clock=HastyClock())
        for index in range(3):
            await buffer.add_frame(frame(index))
        await buffer.end()
        await buffer.end()
        seen = [index_of(picture) async for picture in buffer.smooth_playback()]
        assert not buffer.running
        return seen

    assert run(scenario()) == [0, 1, 2]


def test_an_empty_stream_shows_nothing() -> None:
    async def scenario() -> list[Any]:
        buffer = FrameBuffer(clock=HastyClock())
        await buffer.end()
        return [picture async for picture in buffer.smooth_playback()]

    assert run(scenario()) == []


@pytest.mark.parametrize("frames", [0, 5])
def test_running_set_to_false_ends_playback(frames: int) -> None:
    async def scenario() -> list[int]:
        clock = ManualClock()
        buffer = FrameBuffer(25, 200, clock=clock)
        for index in range(frames):
            await buffer.add_frame(frame(index))

        async def watch() -> list[int]:
            return [index_of(picture) async for picture in buffer.smooth_playback()]

        watching = asyncio.ensure_future(watch())
        await asyncio.sleep(0)
        assert buffer.running and not watching.done()
        buffer.running = False
        clock.advance(40)
        seen = await watching
        assert not buffer.running and len(buffer.frames) == frames - len(seen)
        return seen

    assert run(scenario()) == [0][:frames]


def test_playback_that_was_stopped_goes_on_where_it_was() -> None:
    async def scenario() -> list[int]:
        buffer, seen = FrameBuffer(25, 80, clock=HastyClock()), []
        for index in range(6):
            await buffer.add_frame(frame(index))
        for _ in range(2):
            async for picture in buffer.smooth_playback():
                seen.append(index_of(picture))
                buffer.running = len(seen) % 3 != 0
        return seen

    assert run(scenario()) == [0, 1, 2, 3, 4, 5]


def test_a_consumer_that_is_too_slow_misses_pictures_and_starves_nobody() -> None:
    async def scenario() -> list[int]:
        clock = ManualClock()
        buffer, seen = FrameBuffer(25, 80, clock=clock), []

        async def produce() -> None:
            for index in range(20):
                await buffer.add_frame(frame(index))
                await asyncio.sleep(0)
            await buffer.end()

        producing = asyncio.ensure_future(produce())
        async for picture in buffer.smooth_playback():
            seen.append(index_of(picture))
            clock.advance(120)
        await producing
        return seen

    seen = run(scenario())
    assert seen == sorted(seen) and 3 < len(seen) < 20


def test_a_frame_that_waits_for_room_when_the_stream_ends_is_refused() -> None:
    async def scenario() -> None:
        buffer = FrameBuffer(25, 40, capacity=4)
        for index in range(4):
            await buffer.add_frame(frame(index))
        fifth = asyncio.ensure_future(buffer.add_frame(frame(4)))
        await asyncio.sleep(0)
        await buffer.end()
        with pytest.raises(OptionError, match="has ended"):
            await fifth
        assert [timed.timestamp_ms for timed in buffer.frames] == [0, 40, 80, 120]

    run(scenario())


def test_ten_hours_do_not_drift() -> None:
    async def scenario() -> int:
        buffer, last = FrameBuffer(25, 0), 0
        for tick in range(0, 900_000, 97):
            await buffer.add_frame(frame(tick))
            shown = await buffer.get_frame(7 + 40 * tick)
            last = tick % 256 - index_of(shown)
        return last

    assert run(scenario()) == 0


def test_a_full_buffer_makes_its_producer_wait() -> None:
    async def scenario() -> None:
        buffer = FrameBuffer(25, 40, capacity=4)
        for index in range(4):
            await buffer.add_frame(frame(index))
        fifth = asyncio.ensure_future(buffer.add_frame(frame(4)))
        await asyncio.sleep(0)
        assert not fifth.done()
        assert await buffer.get_frame(0) is not None
        await fifth

    run(scenario())


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60))
def test_whatever_the_jitter_time_never_goes_back(delays: list[int]) -> None:
    async def scenario() -> list[int]:
        buffer = FrameBuffer(25, 200, capacity=1000)
        arrivals = sorted(40 * index + delay for index, delay in enumerate(delays))
        seen, arrived = [], 0
        for now in range(0, 40 * len(delays) + 800, 40):
            while arrived < len(arrivals) and arrivals[arrived] <= now:
                await buffer.add_frame(frame(arrived))
                arrived += 1
            if arrived == len(arrivals):
                await buffer.end()
            shown = await buffer.get_frame(now)
            if shown is not None:
                seen.append(index_of(shown))
        assert await buffer.get_frame(10**9) is None
        return seen

    seen = run(scenario())
    assert seen == sorted(seen)
    assert seen[0] == 0


def test_misuse_is_refused_in_words() -> None:
    async def scenario() -> None:
        buffer = FrameBuffer()
        await buffer.add_frame(frame(3))
        with pytest.raises(OptionError, match="in order"):
            await buffer.add_frame(frame(1))
        await buffer.end()
        with pytest.raises(OptionError, match="has ended"):
            await buffer.add_frame(frame(4))
        with pytest.raises(OptionError, match="target_fps"):
            FrameBuffer(0)

    run(scenario())


def test_a_clock_moved_by_hand_wakes_its_sleepers_in_order() -> None:
    async def scenario() -> list[int]:
        clock = ManualClock(100)
        woken: list[int] = []

        async def sleeper(moment: int) -> None:
            await clock.sleep_until(moment)
            woken.append(moment)

        sleeping = [asyncio.ensure_future(sleeper(moment)) for moment in (300, 100, 200, 400)]
        await asyncio.sleep(0)
        assert woken == [100] and clock.now_ms() == 100
        sleeping[3].cancel()
        clock.advance(99)
        await asyncio.sleep(0)
        assert woken == [100]
        clock.advance(1000)
        await asyncio.gather(*sleeping, return_exceptions=True)
        return woken

    assert run(scenario()) == [100, 200, 300]
