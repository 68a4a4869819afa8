"""The watch over the workers holds up nobody whose workers cannot be asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from lipstream.cluster.front import watch
from lipstream.cluster.front.upstream import Upstream
from lipstream.cluster.front.watch import LOOK_MS, LoadWatch
from lipstream.live.cancellation import cancel_until_ended
from lipstream.live.clock import ManualClock


class SilentPool:
    """Does not tell its workers."""

    async def workers(self) -> Mapping[str, str]:
        await asyncio.Event().wait()
        return {}

    async def hung(self, worker: str) -> None:
        raise AssertionError(f"nobody asked {worker}")


def test_a_round_without_an_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "ROUND_S", 0.01)

    async def test() -> None:
        loads = LoadWatch(SilentPool(), Upstream(), None, ManualClock())
        assert not await loads.next_look(LOOK_MS)  # nobody looks yet
        looking = asyncio.create_task(loads.watch())
        await asyncio.sleep(0)
        assert not await asyncio.wait_for(loads.next_look(LOOK_MS), 20)
        await cancel_until_ended([looking])

    asyncio.run(test())
