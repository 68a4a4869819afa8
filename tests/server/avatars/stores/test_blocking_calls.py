"""A place that does not answer holds up nobody for longer than said."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from lipstream.server.avatars.stores.base import StoreError
from lipstream.server.avatars.stores.blocking_calls import BlockingCalls


def test_results_and_errors_come_through() -> None:
    async def test() -> None:
        calls = BlockingCalls(2)
        assert await calls.run(10, "{}{}".format, "a", "b") == "ab"
        with pytest.raises(ZeroDivisionError):
            await calls.run(10, lambda: 1 // 0)
        assert await asyncio.gather(*(calls.run(10, abs, -n) for n in range(9))) == [*range(9)]

    asyncio.run(test())


def test_calls_that_hang_are_given_up_and_do_not_pile_up() -> None:
    hung = threading.Event()

    async def test() -> None:
        calls = BlockingCalls(2)
        before = threading.active_count()
        for _ in range(4):
            with pytest.raises(StoreError, match=r"has not answered within 0\.01 s"):
                await calls.run(0.01, hung.wait)
        assert threading.active_count() == before + 2
        hung.set()
        assert await calls.run(10, abs, -1) == 1

    asyncio.run(test())


def test_a_call_that_nobody_waits_for_any_more_gives_its_place_back() -> None:
    async def test() -> None:
        calls, going = BlockingCalls(1), threading.Event()
        waiting = asyncio.create_task(calls.run(10, going.wait))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        going.set()
        assert await calls.run(10, abs, -1) == 1

    asyncio.run(test())


@pytest.mark.parametrize("turns", range(8))
def test_a_call_that_is_cancelled_as_it_ends_is_cancelled(turns: int) -> None:
    async def test() -> None:
        answered = threading.Event()
        waiting = asyncio.create_task(BlockingCalls(1).run(5.0, answered.wait))
        await asyncio.sleep(0.01)  # the thread waits
        answered.set()
        time.sleep(0.05)  # noqa: ASYNC251 (it has answered; the loop does not know yet)
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled = waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled() is cancelled

    asyncio.run(test())
