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


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, 20))


def test_playback_waits_for_its_buffer_once() -> None:
    async def scenario() -> list[int | None]:
        buffer = FrameBuffer(25, 200)
        seen = []
        for index in range(8):
            await buffer.add_frame(frame(index))
            shown = await buffer.get_frame(40 * index)
            seen.append(None if shown is None else shown.timestamp_ms)
        return seen

    assert run(scenario()) == [None, None, None, None, 0, 40, 80, 120]


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
            shown = await buffer.get_frame(1000 + 40 * tick)
            assert shown is not None
            seen.append(shown.timestamp_ms // 40)
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
        shown = await buffer.get_frame(2000)
        assert shown is not None
        return shown.timestamp_ms, buffer.dropped

    assert run(scenario()) == (40, 1)


def test_the_end_is_played_to_the_last_frame_then_nothing() -> None:
    async def scenario() -> list[int]:
        buffer = FrameBuffer(25, 200, clock=HastyClock())
        for index in range(3):
            await buffer.add_frame(frame(index))
        await buffer.end()
        await buffer.end()
        return [shown.timestamp_ms async for shown in buffer.smooth_playback()]

    assert run(scenario()) == [0, 40, 80]


def test_an_empty_stream_shows_nothing() -> None:
    async def scenario() -> list[TimedFrame]:
        buffer = FrameBuffer(clock=HastyClock())
        await buffer.end()
        return [shown async for shown in buffer.smooth_playback()]

    assert run(scenario()) == []


def test_ten_hours_do_not_drift() -> None:
    async def scenario() -> int:
        buffer, last = FrameBuffer(25, 0), 0
        for tick in range(0, 900_000, 97):
            await buffer.add_frame(frame(tick))
            shown = await buffer.get_frame(7 + 40 * tick)
            assert shown is not None
            last = 40 * tick - shown.timestamp_ms
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
                seen.append(shown.timestamp_ms)
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
