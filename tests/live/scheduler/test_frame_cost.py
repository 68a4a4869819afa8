"""The cost of frames, those that cannot be ready in time, and what `watch` is called with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.engine import Engine
from lipstream.live.clock import ManualClock
from lipstream.live.scheduler.dispatch import RenderedBatch
from lipstream.live.scheduler.jobs import RenderJob
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.rendering.base import FrameRequest
from tests.fakes import StripeRenderer, blank_avatar, stripe_backend
from tests.live.harness import FailingRenderer
from tests.pipelines import StripePipeline

if TYPE_CHECKING:
    from lipstream.media.image import Image

AVATAR = blank_avatar()
CONDITIONING = np.zeros(1, np.float32)


class Slow(StripeRenderer):
    """Takes `cost_ms` for a batch, or `rest_ms` where nobody speaks in it."""

    def __init__(self, clock: ManualClock, cost_ms: int, rest_ms: int | None = None) -> None:
        super().__init__()
        self.drawn: list[int] = []
        self.clock, self.cost_ms = clock, cost_ms
        self.rest_ms = cost_ms if rest_ms is None else rest_ms

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        self.drawn += [request.index for request in requests]
        speaks = any(request.conditioning is not None for request in requests)
        self.clock.advance(self.cost_ms if speaks else self.rest_ms)
        return super().render(requests)


def frame(index: int, due: int = 10_000, speaks: bool = True) -> RenderJob:
    return RenderJob(FrameRequest(AVATAR, index, CONDITIONING if speaks else None), due)


def scheduler(renderer: StripeRenderer, clock: ManualClock, batch: int = 1) -> Scheduler:
    return Scheduler(Engine(stripe_backend(renderer=renderer, batch=batch)), clock=clock)


def finish(worker: Scheduler) -> None:
    while worker.step():
        pass


def test_frames_that_cannot_be_ready_in_time_are_not_begun() -> None:
    clock = ManualClock()
    slow = Slow(clock, cost_ms=30)
    worker = scheduler(slow, clock)
    queue = worker.open()
    for round_ in range(1, 30):  # until it knows how long a batch takes
        queue.draw([frame(0, clock.now_ms() + 1000 * round_)])
        worker.step()
    slow.drawn.clear()
    now = clock.now_ms()
    queue.draw([frame(1, now + 10), frame(2, now + 35)])
    finish(worker)
    assert slow.drawn == [2]


def test_one_slow_batch_does_not_stop_all_work() -> None:
    clock = ManualClock()
    slow = Slow(clock, cost_ms=5000)
    worker = scheduler(slow, clock)
    queue = worker.open()
    queue.draw([frame(0, 10_000)])
    worker.step()
    slow.cost_ms = 5
    for index in range(1, 60):
        queue.draw([frame(index, clock.now_ms() + 160)])
        finish(worker)
        clock.advance(40)
    assert slow.drawn[-20:] == list(range(40, 60))


def test_the_cost_is_the_time_of_one_batch_not_of_two() -> None:
    renderer = StripePipeline(cost_ms=lambda frames: 30)
    worker = scheduler(renderer, renderer.clock)
    worker.open().draw([frame(index) for index in range(80)])
    finish(worker)
    # A frame requested now waits for the batch in hand and for the one begun behind it.
    assert worker.drawing_ms == pytest.approx(3 * 30, abs=3)


def test_idle_frames_do_not_count_for_the_cost_of_speech() -> None:
    clock = ManualClock()
    worker = scheduler(Slow(clock, cost_ms=30, rest_ms=1), clock)
    queue = worker.open()
    queue.draw([frame(index) for index in range(80)])
    finish(worker)
    queue.draw([frame(index, speaks=False) for index in range(80)])
    finish(worker)
    assert worker.drawing_ms == pytest.approx(2 * 30, abs=2)


@pytest.mark.parametrize(("cost_ms", "capped"), [(30, 60), (5000, 240)])
def test_the_first_speech_sets_the_cost_at_once(cost_ms: int, capped: int) -> None:
    clock = ManualClock()
    worker = scheduler(Slow(clock, cost_ms, rest_ms=1), clock)
    queue = worker.open()
    queue.draw([*(frame(index, speaks=False) for index in range(20)), frame(20)])
    finish(worker)
    assert worker.drawing_ms == capped


def test_one_slow_batch_does_not_count_for_long() -> None:
    clock = ManualClock()
    slow = Slow(clock, cost_ms=10, rest_ms=10)
    worker = scheduler(slow, clock)
    queue = worker.open()
    queue.draw([frame(index, 100_000) for index in range(40)])
    finish(worker)
    slow.cost_ms = 3000
    queue.draw([frame(40, 100_000)])
    finish(worker)
    queue.draw([frame(index, 100_000, speaks=False) for index in range(100)])
    finish(worker)
    assert worker.drawing_ms < 60


def test_watch_is_called_with_every_batch() -> None:
    clock = ManualClock(500)
    seen: list[RenderedBatch] = []
    refusing = FailingRenderer(lambda request: request.index == 2)
    worker = Scheduler(
        Engine(stripe_backend(renderer=refusing, batch=2)), clock=clock, watch=seen.append
    )
    queue = worker.open()
    queue.draw([frame(index) for index in range(5)])
    finish(worker)
    shown = [[one.picture is not None for _, one in batch.frames] for batch in seen]
    assert shown == [[True, True], [False, True], [True]]
    assert all(owner is queue for batch in seen for owner, _ in batch.frames)
    assert {(batch.began_ms, batch.done_ms) for batch in seen} == {(500, 500)}


def test_late_frames_ask_for_more_time_which_is_taken_back_slowly() -> None:
    clock = ManualClock(1_000)
    worker = scheduler(StripeRenderer(), clock)
    queue = worker.open()

    def draw(count: int, due_in: int) -> int:
        queue.draw([frame(index, clock.now_ms() + due_in) for index in range(count)])
        while worker.step():
            pass
        clock.advance(200)
        return worker.reserve_ms

    assert draw(10, 40) == 0
    assert draw(5, -1) == 20  # five at once have one cause
    assert draw(1, -1) == 40
    assert draw(100, 40) == 35
    for _ in range(50):
        draw(1, -1)
    assert 200 <= worker.reserve_ms <= 240
    assert draw(6_000, 40) == 0
