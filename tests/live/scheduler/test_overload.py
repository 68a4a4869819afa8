"""More sessions than a device can serve: none of them starves, and little work is for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from lipstream.engine import Engine
from lipstream.live.clock import ManualClock
from lipstream.live.scheduler.jobs import RenderJob
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.rendering.base import FrameRequest
from tests.fakes import StripeRenderer, blank_avatar, stripe_backend
from tests.pipelines import StripePipeline

if TYPE_CHECKING:
    from lipstream.media.image import Image

AVATAR = blank_avatar()
COST_MS = 30  # of a frame: 33 a second


class Plain(StripeRenderer):
    """Its caller waits for each frame."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        self.clock.advance(COST_MS)
        return super().render(requests)


def renderer(clock: ManualClock, pipelined: bool) -> StripeRenderer:
    return StripePipeline(clock, cost_ms=lambda frames: COST_MS) if pipelined else Plain(clock)


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize(
    "phases", [(0, 1), (0, 20), (0, 1, 2), (0, 13, 26, 39), (0, 7, 14, 21, 28, 35)]
)
def test_all_lose_alike(phases: tuple[int, ...], pipelined: bool) -> None:
    """Two to six sessions that want 25 frames a second each."""
    clock = ManualClock(100)
    worker = Scheduler(Engine(stripe_backend(renderer=renderer(clock, pipelined))), clock=clock)
    queues = [worker.open() for _ in phases]
    submitted: list[list[RenderJob]] = [[] for _ in phases]
    while clock.now_ms() < 20_000:
        for queue, phase, mine in zip(queues, phases, submitted, strict=True):
            while 40 * len(mine) + phase < clock.now_ms():  # 160 ms ahead of their time
                due = 40 * len(mine) + phase + 160
                mine.append(RenderJob(FrameRequest(AVATAR, len(mine), None), due))
                queue.draw(mine[-1:])
        if not worker.step():
            clock.advance(1)
    shares = [sum(one.picture is not None for one in mine) for mine in submitted]
    assert sum(shares) >= 0.6 * 20_000 / COST_MS  # most of the work is of use
    assert min(shares) >= 0.9 * sum(shares) / len(shares)
