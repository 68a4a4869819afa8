"""Frames drawn by parallel workers: begun while there is room, handed over as each is done."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from lipstream.engine import Engine
from lipstream.live.clock import ManualClock
from lipstream.live.scheduler.jobs import EncodeJob, RenderJob
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.scheduler.session_queue import SessionQueue
from lipstream.rendering.base import FrameRequest, render_in_order
from lipstream.rendering.registry import Backend
from lipstream.speech.base import Plan
from lipstream.timeline import FPS
from tests.fakes import StripeEncoder, blank_avatar, read_stripes
from tests.worker_fakes import StripeWorkers

AVATAR = blank_avatar()


def live(
    workers: StripeWorkers, clock: ManualClock | None = None
) -> tuple[Scheduler, SessionQueue]:
    backend = Backend("stripes", StripeEncoder(Plan(0, 1, 0)), workers, FPS, 1, "a test")
    scheduler = Scheduler(Engine(backend), clock=clock or ManualClock())
    return scheduler, scheduler.open()


def frame(index: int, due: int = 10_000) -> RenderJob:
    return RenderJob(FrameRequest(AVATAR, index, None), due)


def test_each_frame_is_handed_over_when_it_is_done_whatever_the_others_do() -> None:
    workers = StripeWorkers()
    scheduler, queue = live(workers)
    frames = [frame(index) for index in range(3)]
    queue.draw(frames)
    scheduler.step()
    workers.finish(2)
    scheduler.step()
    assert [one.done for one in frames] == [False, False, True]
    workers.finish()
    scheduler.step()
    assert [read_stripes(one.picture)[0] for one in frames if one.picture is not None] == [0, 1, 2]
    assert scheduler.counts.drawn == 3


def test_no_more_frames_are_begun_than_the_workers_have_slots() -> None:
    workers = StripeWorkers(slots=4)
    scheduler, queue = live(workers)
    queue.draw([frame(index) for index in range(9)])
    scheduler.step()
    scheduler.step()
    assert workers.submitted == [0, 1, 2, 3]
    workers.finish(1, 3)
    scheduler.step()  # takes the pictures
    scheduler.step()  # and begins as many frames
    assert workers.submitted == [0, 1, 2, 3, 4, 5]


def test_what_is_urgent_goes_first_when_a_slot_is_free() -> None:
    workers = StripeWorkers(slots=1)
    scheduler, queue = live(workers)
    other = scheduler.open()
    queue.draw([frame(0, 500), frame(1, 600)])
    scheduler.step()
    other.draw([frame(9, 100)])
    workers.finish()
    scheduler.step()
    scheduler.step()
    assert workers.submitted == [0, 9]


def test_speech_is_encoded_while_frames_are_drawn() -> None:
    workers = StripeWorkers()
    scheduler, queue = live(workers)
    job = EncodeJob(scheduler.open_encoder(AVATAR, 16_000), np.zeros(640, np.float32), False, 0)
    queue.draw([frame(0)])
    queue.encode(job)
    scheduler.step()
    assert job.done and 0 in workers.in_flight


def test_an_error_fails_its_frame_and_no_other() -> None:
    workers = StripeWorkers()
    scheduler, queue = live(workers)
    frames = [frame(0), frame(1)]
    queue.draw(frames)
    scheduler.step()
    workers.finish(0, error=RuntimeError("this cannot be drawn"))
    workers.finish(1)
    scheduler.step()
    assert str(frames[0].error) == "this cannot be drawn" and frames[1].picture is not None
    assert scheduler.counts.failed == 1


def test_a_cancelled_frame_that_is_drawn_too_late_counts_as_late() -> None:
    workers, clock = StripeWorkers(), ManualClock()
    scheduler, queue = live(workers, clock)
    one = frame(0, 50)
    queue.draw([one])
    scheduler.step()
    one.cancelled = True
    clock.advance(60)
    workers.finish()
    scheduler.step()
    assert (scheduler.counts.late, scheduler.reserve_ms) == (1, 20)


def test_the_cost_of_a_frame_does_not_count_its_waiting_for_others() -> None:
    workers, clock = StripeWorkers(parallelism=1, slots=2), ManualClock()
    scheduler, queue = live(workers, clock)
    for index in range(200):
        queue.draw([frame(index, clock.now_ms() + 1_000)])
        scheduler.step()
        if len(workers.in_flight) == 2:
            clock.advance(30)
            workers.finish(index - 1)
            scheduler.step()
    assert scheduler.drawing_ms == pytest.approx(3 * 30, abs=6)


def test_a_thread_sleeps_until_a_worker_is_done() -> None:
    workers = StripeWorkers(slots=1)
    scheduler, queue = live(workers)
    frames, done = [frame(index) for index in range(3)], threading.Event()
    frames[-1].wake = done.set
    scheduler.start()
    queue.draw(frames)
    finish_backwards(workers, 3)
    assert done.wait(20)
    scheduler.close()


@pytest.mark.parametrize("slots", [1, 3, 100])
def test_pictures_come_in_order_and_no_more_are_in_flight_than_slots(slots: int) -> None:
    workers = StripeWorkers(slots=slots)
    requests = [FrameRequest(AVATAR, index, None) for index in range(10)]
    finishing = threading.Thread(target=finish_backwards, args=(workers, 10))
    finishing.start()
    drawn = [
        (request.index, read_stripes(one)[0]) for request, one in render_in_order(workers, requests)
    ]
    finishing.join()
    assert drawn == [(index, index) for index in range(10)]
    assert workers.most <= slots


def finish_backwards(workers: StripeWorkers, count: int) -> None:
    """The last frame first, until `count` are finished."""
    while count:
        for index in sorted(workers.in_flight, reverse=True):
            workers.finish(index)
            count -= 1
