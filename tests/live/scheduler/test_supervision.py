"""A scheduler that meets an error of its own goes on, and says what is wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from lipstream.engine import Engine
from lipstream.live.scheduler import scheduler
from lipstream.live.scheduler.dispatch import RenderedBatch
from lipstream.live.scheduler.jobs import RenderJob
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.rendering.base import FrameRequest
from tests.fakes import StripeRenderer, blank_avatar, stripe_backend
from tests.worker_fakes import StripeWorkers

AVATAR = blank_avatar()


class Blocked(StripeRenderer):
    """Draws nothing until `free` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.free = threading.Event(), threading.Event()

    def render(self, requests: Sequence[FrameRequest]) -> list[object]:  # type: ignore[override]
        self.begun.set()
        assert self.free.wait(60)
        return [*super().render(requests)]


@contextmanager
def running(
    renderer: StripeRenderer | None = None, watch: Callable[[RenderedBatch], None] | None = None
) -> Iterator[Scheduler]:
    opened = Scheduler(Engine(stripe_backend(renderer=renderer)), watch=watch)
    opened.start()
    yield opened
    opened.close()


def draw(opened: Scheduler, count: int = 1) -> list[RenderJob]:
    """Have frames drawn, one after the other."""
    queue, jobs = opened.open(), []
    for index in range(count):
        done = threading.Event()
        job = RenderJob(FrameRequest(AVATAR, index, None), opened.clock.now_ms() + 60_000)
        job.wake = done.set
        queue.draw([job])
        assert done.wait(20)
        jobs.append(job)
    return jobs


def test_a_step_that_raises_is_counted_logged_once_and_survived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = True

    def watch(batch: RenderedBatch) -> None:
        if broken:
            raise ValueError("an error of ours")

    with running(watch=watch) as opened, caplog.at_level(logging.ERROR):
        draw(opened, 5)
        while opened.counts.faults < 5:  # the last one is counted just after its frame is done
            pass
        assert opened.fault is not None and "an error of ours" in opened.fault
        assert len(caplog.records) == 1
        broken = False
        assert all(job.picture is not None for job in draw(opened, 3))
        opened.open().close()
    assert opened.counts.faults == 5


def test_work_in_hand_fails_with_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as opened:

        def broken(took_ms: float, speaks: bool) -> None:
            raise ValueError("an error of ours")

        monkeypatch.setattr(opened._cost, "learn", broken)
        (job,) = draw(opened)
        assert isinstance(job.error, ValueError) and job.picture is None


def test_a_thread_that_has_ended_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    with running() as opened:
        assert opened.fault is None

        def die() -> bool:
            raise SystemExit

        monkeypatch.setattr(opened, "step", die)
        opened.open().draw([RenderJob(FrameRequest(AVATAR, 0, None), 0)])
        assert opened._thread is not None
        opened._thread.join(20)
        assert opened.fault is not None and "ended" in opened.fault
    assert opened.fault is None  # it is closed


def test_a_step_that_takes_very_long_is_a_fault_until_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduler, "STALL_S", 0.0)
    renderer = Blocked()
    with running(renderer) as opened:
        opened.open().draw([RenderJob(FrameRequest(AVATAR, 0, None), 1 << 60)])
        assert renderer.begun.wait(20)
        assert opened.fault is not None and "one step" in opened.fault
        renderer.free.set()
        draw(opened)
        while opened._step_began is not None:
            pass
        assert opened.fault is None


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "CLOSE_S", 0.0)
    renderer = Blocked()
    with running(renderer) as opened:
        opened.open().draw([RenderJob(FrameRequest(AVATAR, 0, None), 1 << 60)])
        assert renderer.begun.wait(20)
        opened.close()
        renderer.free.set()
        assert opened._thread is not None
        opened._thread.join(20)


def test_the_fault_of_the_renderer_is_one_of_the_scheduler() -> None:
    workers = StripeWorkers()
    with running(workers) as opened:
        assert opened.fault is None
        workers.fault = "no drawing process is running."
        assert opened.fault == workers.fault
