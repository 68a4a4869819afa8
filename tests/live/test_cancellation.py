"""Tasks end, also when their first cancellation is lost."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from lipstream.live import cancellation
from lipstream.live.cancellation import cancel_until_ended


def test_a_cancellation_that_is_lost_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "AGAIN_S", 0.01)

    async def deaf() -> None:
        with contextlib.suppress(asyncio.CancelledError):  # as `wait_for` does at times
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def test() -> None:
        task = asyncio.create_task(deaf())
        await asyncio.sleep(0)
        await asyncio.wait_for(cancel_until_ended([task]), 20)
        assert task.cancelled()

    asyncio.run(test())


def test_what_has_ended_already_holds_up_nobody() -> None:
    async def test() -> None:
        async def broken() -> None:
            raise ValueError("as it may")

        tasks = [asyncio.create_task(broken()), asyncio.create_task(asyncio.sleep(0))]
        await asyncio.wait(tasks)
        await cancel_until_ended(tasks)
        await cancel_until_ended([])

    asyncio.run(test())
