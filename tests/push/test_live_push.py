"""A push whose server is not there, says nothing, or takes nothing."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from typing import Any

import numpy as np
import pytest

from lipstream.live.cancellation import cancel_until_ended
from lipstream.live.session.types import Unit
from lipstream.push import live_push, rtmp_push
from lipstream.push.live_push import MAX_UNITS, LivePush
from lipstream.push.rtmp_push import RtmpPush
from lipstream.push.wire import PushTarget

SOUND = np.zeros(1920, np.int16)
PICTURE = np.zeros((64, 64, 3), np.uint8)


def unit(index: int) -> Unit:
    return Unit(index, PICTURE, SOUND, speaking=False, fresh=True)


def test_without_a_connection_units_are_left_out() -> None:
    async def scene() -> LivePush:
        push = RtmpPush(PushTarget("rtmp://127.0.0.1/a", 64, 64), lambda reason, wait_s: None)
        push.put(unit(0))
        push.connected.set()
        for index in range(MAX_UNITS + 5):
            push.put(unit(index))
        return push

    assert asyncio.run(scene()).left_out == 1 + 5


def test_a_machine_that_has_no_process_left_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_push, "RETRY_S", 0.0)
    lost: list[str] = []

    async def start(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    async def scene() -> None:
        monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
        target = PushTarget("rtmp://127.0.0.1/a", 64, 64)
        push = RtmpPush(target, lambda reason, wait_s: lost.append(reason))
        running = asyncio.create_task(push.run())
        while len(lost) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert push.state == "connecting"
        await cancel_until_ended([running])

    asyncio.run(asyncio.wait_for(scene(), 20))
    assert set(lost) == {"Too many open files"}


@pytest.mark.load
@pytest.mark.parametrize("answers", [False, True])
def test_a_server_that_is_silent_or_gone_is_tried_again_and_holds_up_nothing(
    answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that accepts and says nothing holds the lock of Python in whoever connects."""
    monkeypatch.setattr(rtmp_push, "CONNECT_S", 3.0)
    monkeypatch.setattr(live_push, "RETRY_S", 0.05)
    lost: list[str] = []

    async def scene(port: int) -> float:
        target = PushTarget(f"rtmp://127.0.0.1:{port}/live/secret", 64, 64)
        push = RtmpPush(target, lambda reason, wait_s: lost.append(reason))
        running = asyncio.create_task(push.run())
        worst, before = 0.0, time.monotonic()
        while len(lost) < 2:
            push.put(unit(0))
            await asyncio.sleep(0.02)
            now = time.monotonic()
            worst, before = max(worst, now - before), now
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return worst

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if not answers:
            listening.close()
        print(f"the loop stood still for {1000 * asyncio.run(scene(port)):.0f} ms at most")
    said = "the server takes nothing" if answers else "Connection refused"
    assert lost == [said] * 2 and "secret" not in said
