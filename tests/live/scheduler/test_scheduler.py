"""One worker for all: earliest deadline first, nothing stale, nobody starves, errors stay put."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from lipstream.engine import Engine
from lipstream.errors import OptionError
from lipstream.live.clock import ManualClock
from lipstream.live.scheduler.jobs import EncodeJob, RenderJob
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.scheduler.utterance_encoder import UtteranceEncoder
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.registry import Backend
from lipstream.speech.base import Plan
from lipstream.timeline import FPS
from tests.fakes import StripeEncoder, StripeRenderer, blank_avatar, read_stripes, stripe_backend
from tests.live.harness import FailingRenderer

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

AVATAR = blank_avatar()


class Diary(StripeRenderer):
    """Writes down what it draws; job a batch takes `cost_ms` of a clock moved by hand."""

    def __init__(self, clock: ManualClock | None = None, cost_ms: int = 0) -> None:
        super().__init__()
        self.drawn: list[int] = []
        self.clock = clock
        self.cost_ms = cost_ms

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        self.drawn += [request.index for request in requests]
        if self.clock is not None:
            self.clock.advance(self.cost_ms)
        return super().render(requests)


class CountingEncoder(StripeEncoder):
    """Counts the contexts of each call; refuses those of fewer than `least` samples."""

    def __init__(self, least: int = 0) -> None:
        super().__init__(Plan(0, 1, 0))
        self.calls: list[int] = []
        self.least = least

    def encode(self, contexts: Sequence[Floats]) -> list[Floats]:
        self.calls.append(len(contexts))
        if any(context[0, 0] < self.least for context in contexts):
            raise RuntimeError("this cannot be encoded")
        return super().encode(contexts)


def scheduler(
    renderer: StripeRenderer | None = None,
    encoder: StripeEncoder | None = None,
    batch: int = 1,
    clock: ManualClock | None = None,
) -> Scheduler:
    backend = Backend(
        "stripes",
        encoder or StripeEncoder(Plan(0, 1, 0)),
        renderer or StripeRenderer(),
        FPS,
        batch,
        "a test",
    )
    return Scheduler(Engine(backend), clock=clock or ManualClock())


def frame(index: int, due: int) -> RenderJob:
    return RenderJob(FrameRequest(AVATAR, index, None), due)


def speech(encoder: UtteranceEncoder, frames: int = 1, last: bool = False) -> EncodeJob:
    return EncodeJob(encoder, np.full(640 * frames, 0.5, np.float32), last, 0)


def finish(worker: Scheduler) -> None:
    while worker.step():
        pass


def test_frames_are_drawn_earliest_deadline_first_whoever_asks() -> None:
    diary = Diary()
    worker = scheduler(diary)
    one, other = worker.open(), worker.open()
    one.draw([frame(1, 100), frame(4, 400)])
    other.draw([frame(2, 200), frame(3, 300), frame(5, 500)])
    finish(worker)
    assert diary.drawn == [1, 2, 3, 4, 5]


def test_a_batch_is_shared_and_no_larger_than_the_backend_likes() -> None:
    renderer = StripeRenderer()
    worker = scheduler(renderer, batch=4)
    for _ in range(3):
        worker.open().draw([frame(index, 40 + 40 * index) for index in range(3)])
    finish(worker)
    assert renderer.batches == [4, 4, 1]


def test_every_request_gets_its_own_picture() -> None:
    worker = scheduler(batch=3)
    queues = [worker.open() for _ in range(4)]
    submitted = [[frame(10 * n + k, 40 * k + 1) for k in range(5)] for n in range(4)]
    for queue, frames in zip(queues, submitted, strict=True):
        queue.draw(frames)
    finish(worker)
    for job in (job for frames in submitted for job in frames):
        assert job.done and job.picture is not None
        assert read_stripes(job.picture)[0] == job.request.index


def test_what_is_cancelled_or_overdue_costs_nothing() -> None:
    diary, clock = Diary(), ManualClock(1000)
    worker = scheduler(diary, clock=clock)
    overdue, dropped, needed = frame(1, 999), frame(2, 1100), frame(3, 1200)
    queue = worker.open()
    queue.draw([overdue, dropped, needed])
    dropped.cancelled = True
    finish(worker)
    assert diary.drawn == [3]
    assert overdue.done and overdue.picture is None
    assert (worker.counts.dropped, worker.counts.drawn) == (1, 1)


def test_the_work_of_a_closed_queue_is_dropped() -> None:
    diary = Diary()
    worker = scheduler(diary)
    closed, other = worker.open(), worker.open()
    closed.draw([frame(1, 100)])
    closed.encode(speech(worker.open_encoder(AVATAR, 16_000)))
    other.draw([frame(2, 200)])
    closed.close()
    closed.close()
    finish(worker)
    assert diary.drawn == [2]
    assert worker.counts.encoded == 0


def test_speech_of_several_sessions_is_encoded_in_one_call() -> None:
    encoder = CountingEncoder()
    worker = scheduler(encoder=encoder)
    submitted = []
    for _ in range(3):
        submitted.append(speech(worker.open_encoder(AVATAR, 16_000), frames=2))
        worker.open().encode(submitted[-1])
    worker.step()
    assert encoder.calls == [6]
    for job in submitted:
        assert job.done and job.result is not None
        assert len(job.result.conditionings) == 2


def test_pieces_of_an_utterance_are_encoded_in_their_order() -> None:
    worker = scheduler()
    queue, encoder = worker.open(), worker.open_encoder(AVATAR, 16_000)
    submitted = [speech(encoder, last=k == 39) for k in range(40)]
    for job in submitted:
        queue.encode(job)
    finish(worker)
    encoded = [row for one in submitted if one.result for row in one.result.conditionings]
    assert [int(row[0]) for row in encoded] == [640 * (k + 1) for k in range(40)]
    sound = np.concatenate([one.result.sound for one in submitted if one.result])
    assert len(sound) == 40 * 1920


def test_a_renderer_that_raises_fails_only_the_frame_that_made_it() -> None:
    renderer = FailingRenderer(lambda request: request.index == 13)
    worker = scheduler(renderer, batch=8)
    queues, frames = [worker.open() for _ in range(4)], [frame(10 + n, 100) for n in range(4)]
    for queue, job in zip(queues, frames, strict=True):
        queue.draw([job])
    finish(worker)
    assert [job.picture is not None for job in frames] == [True, True, True, False]
    assert isinstance(frames[3].error, RuntimeError)
    assert all(job.done for job in frames)


def test_an_encoder_that_raises_fails_only_the_speech_that_made_it() -> None:
    worker = scheduler(encoder=CountingEncoder(least=1000))
    bad = speech(worker.open_encoder(AVATAR, 16_000), frames=1)
    good = EncodeJob(worker.open_encoder(AVATAR, 16_000), np.zeros(640, np.float32), False, 0)
    good.encoder.encode(np.zeros(640, np.float32), False)
    for job in (bad, good):
        worker.open().encode(job)
    finish(worker)
    assert isinstance(bad.error, RuntimeError) and bad.result is None and bad.done
    assert good.error is None and good.result is not None


def test_a_renderer_that_forgets_a_picture_is_an_error_not_a_crash() -> None:
    class Forgetful(StripeRenderer):
        def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
            return super().render(requests)[1:]

    worker = scheduler(Forgetful(), batch=2)
    job = frame(1, 100)
    worker.open().draw([job])
    finish(worker)
    assert "0 results for 1 requests" in str(job.error)


def test_a_queue_logs_its_first_error_only(caplog: pytest.LogCaptureFixture) -> None:
    worker = scheduler(FailingRenderer(lambda request: True))
    queue = worker.open()
    with caplog.at_level(logging.ERROR):
        for index in range(5):
            queue.draw([frame(index, 100)])
        finish(worker)
    assert worker.counts.failed == 5
    assert len(caplog.records) == 1 and "cannot be drawn" in caplog.text


def test_a_thread_works_until_it_is_closed() -> None:
    threads: set[int] = set()

    class Curious(StripeRenderer):
        def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
            threads.add(cv2.getNumThreads())
            return super().render(requests)

    worker = scheduler(Curious())
    before = cv2.getNumThreads()
    worker.start()
    worker.start()
    queue, done = worker.open(), threading.Event()
    frames = [frame(index, 10_000) for index in range(20)]
    frames[-1].wake = done.set
    for job in frames:
        queue.draw([job])
    assert done.wait(20)
    worker.close()
    worker.close()
    assert all(job.picture is not None for job in frames)
    assert threads == {1}
    assert cv2.getNumThreads() == before
    worker.start()  # does nothing any more


def test_many_threads_may_ask_at_once() -> None:
    worker = scheduler(batch=4)
    worker.start()
    submitted: list[list[RenderJob]] = [[] for _ in range(6)]

    def submit(mine: list[RenderJob]) -> None:
        queue, encoder = worker.open(), worker.open_encoder(AVATAR, 16_000)
        done = threading.Event()
        for index in range(100):
            mine.append(frame(index, 10_000 + index))
            queue.draw(mine[-1:])
            queue.encode(speech(encoder))
        last = frame(100, 20_000)
        last.wake = done.set
        mine.append(last)
        queue.draw([last])
        assert done.wait(20)
        queue.close()

    submitters = [threading.Thread(target=submit, args=(mine,)) for mine in submitted]
    for submitter in submitters:
        submitter.start()
    for submitter in submitters:
        submitter.join()
    worker.close()
    assert all(job.picture is not None for mine in submitted for job in mine)


def test_live_is_25_frames_per_second() -> None:
    with pytest.raises(OptionError, match="25"):
        Scheduler(Engine(stripe_backend(fps=Fraction(30))))
