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
from lipstream.live.scheduler import Batcher, Drawing, Hearing, Listening
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.registry import Backend
from lipstream.speech.base import Plan
from lipstream.timeline import FPS
from tests.fakes import StripeEncoder, StripeRenderer, blank_avatar, read_stripes, stripe_backend
from tests.live.harness import FussyRenderer

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

AVATAR = blank_avatar()


class Diary(StripeRenderer):
    """Writes down what it draws; drawing a batch takes `cost_ms` of a clock moved by hand."""

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
            raise RuntimeError("this cannot be heard")
        return super().encode(contexts)


def batcher(
    renderer: StripeRenderer | None = None,
    encoder: StripeEncoder | None = None,
    batch: int = 1,
    clock: ManualClock | None = None,
) -> Batcher:
    backend = Backend(
        "stripes",
        encoder or StripeEncoder(Plan(0, 1, 0)),
        renderer or StripeRenderer(),
        FPS,
        batch,
        "a test",
    )
    return Batcher(Engine(backend), clock=clock or ManualClock())


def frame(index: int, due: int) -> Drawing:
    return Drawing(FrameRequest(AVATAR, index, None), due)


def speech(hearing: Hearing, frames: int = 1, last: bool = False) -> Listening:
    return Listening(hearing, np.full(640 * frames, 0.5, np.float32), last, 0)


def finish(worker: Batcher) -> None:
    while worker.step():
        pass


def test_frames_are_drawn_earliest_deadline_first_whoever_asks() -> None:
    diary = Diary()
    worker = batcher(diary)
    one, other = worker.open(), worker.open()
    one.draw([frame(1, 100), frame(4, 400)])
    other.draw([frame(2, 200), frame(3, 300), frame(5, 500)])
    finish(worker)
    assert diary.drawn == [1, 2, 3, 4, 5]


def test_a_batch_is_shared_and_no_larger_than_the_backend_likes() -> None:
    renderer = StripeRenderer()
    worker = batcher(renderer, batch=4)
    for _ in range(3):
        worker.open().draw([frame(index, 40 + 40 * index) for index in range(3)])
    finish(worker)
    assert renderer.batches == [4, 4, 1]


def test_every_request_gets_its_own_picture() -> None:
    worker = batcher(batch=3)
    lanes = [worker.open() for _ in range(4)]
    asked = [[frame(10 * n + k, 40 * k + 1) for k in range(5)] for n in range(4)]
    for lane, frames in zip(lanes, asked, strict=True):
        lane.draw(frames)
    finish(worker)
    for drawing in (drawing for frames in asked for drawing in frames):
        assert drawing.done and drawing.picture is not None
        assert read_stripes(drawing.picture)[0] == drawing.request.index


def test_what_nobody_wants_or_is_overdue_costs_nothing() -> None:
    diary, clock = Diary(), ManualClock(1000)
    worker = batcher(diary, clock=clock)
    overdue, dropped, wanted = frame(1, 999), frame(2, 1100), frame(3, 1200)
    lane = worker.open()
    lane.draw([overdue, dropped, wanted])
    dropped.wanted = False
    finish(worker)
    assert diary.drawn == [3]
    assert overdue.done and overdue.picture is None
    assert (worker.counts.dropped, worker.counts.drawn) == (1, 1)


def test_the_work_of_a_closed_lane_is_forgotten() -> None:
    diary = Diary()
    worker = batcher(diary)
    gone, here = worker.open(), worker.open()
    gone.draw([frame(1, 100)])
    gone.listen(speech(worker.hearing(AVATAR, 16_000, 0)))
    here.draw([frame(2, 200)])
    gone.close()
    gone.close()
    finish(worker)
    assert diary.drawn == [2]
    assert worker.counts.heard == 0


def test_speech_of_several_sessions_is_encoded_in_one_call() -> None:
    encoder = CountingEncoder()
    worker = batcher(encoder=encoder)
    asked = []
    for _ in range(3):
        asked.append(speech(worker.hearing(AVATAR, 16_000, 0), frames=2))
        worker.open().listen(asked[-1])
    worker.step()
    assert encoder.calls == [6]
    for listening in asked:
        assert listening.done and listening.heard is not None
        assert len(listening.heard.mouths) == 2


def test_pieces_of_an_utterance_are_heard_in_their_order() -> None:
    worker = batcher()
    lane, hearing = worker.open(), worker.hearing(AVATAR, 16_000, 0)
    asked = [speech(hearing, last=k == 39) for k in range(40)]
    for listening in asked:
        lane.listen(listening)
    finish(worker)
    heard = [mouth for one in asked if one.heard for mouth in one.heard.mouths]
    assert [int(mouth[0]) for mouth in heard] == [640 * (k + 1) for k in range(40)]
    sound = np.concatenate([one.heard.sound for one in asked if one.heard])
    assert len(sound) == 40 * 1920


def test_a_renderer_that_raises_fails_only_the_frame_that_made_it() -> None:
    renderer = FussyRenderer(lambda request: request.index == 13)
    worker = batcher(renderer, batch=8)
    lanes, frames = [worker.open() for _ in range(4)], [frame(10 + n, 100) for n in range(4)]
    for lane, drawing in zip(lanes, frames, strict=True):
        lane.draw([drawing])
    finish(worker)
    assert [drawing.picture is not None for drawing in frames] == [True, True, True, False]
    assert isinstance(frames[3].error, RuntimeError)
    assert all(drawing.done for drawing in frames)


def test_an_encoder_that_raises_fails_only_the_speech_that_made_it() -> None:
    worker = batcher(encoder=CountingEncoder(least=1000))
    bad = speech(worker.hearing(AVATAR, 16_000, 0), frames=1)
    good = Listening(worker.hearing(AVATAR, 16_000, 0), np.zeros(640, np.float32), False, 0)
    good.hearing.listen(np.zeros(640, np.float32), False)
    for listening in (bad, good):
        worker.open().listen(listening)
    finish(worker)
    assert isinstance(bad.error, RuntimeError) and bad.heard is None and bad.done
    assert good.error is None and good.heard is not None


def test_a_renderer_that_forgets_a_picture_is_an_error_not_a_crash() -> None:
    class Forgetful(StripeRenderer):
        def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
            return super().render(requests)[1:]

    worker = batcher(Forgetful(), batch=2)
    drawing = frame(1, 100)
    worker.open().draw([drawing])
    finish(worker)
    assert "0 results for 1 requests" in str(drawing.error)


def test_a_lane_complains_once(caplog: pytest.LogCaptureFixture) -> None:
    worker = batcher(FussyRenderer(lambda request: True))
    lane = worker.open()
    with caplog.at_level(logging.ERROR):
        for index in range(5):
            lane.draw([frame(index, 100)])
        finish(worker)
    assert worker.counts.failed == 5
    assert len(caplog.records) == 1 and "cannot be drawn" in caplog.text


def test_a_thread_works_until_it_is_closed() -> None:
    threads: set[int] = set()

    class Curious(StripeRenderer):
        def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
            threads.add(cv2.getNumThreads())
            return super().render(requests)

    worker = batcher(Curious())
    before = cv2.getNumThreads()
    worker.start()
    worker.start()
    lane, done = worker.open(), threading.Event()
    frames = [frame(index, 10_000) for index in range(20)]
    frames[-1].wake = done.set
    for drawing in frames:
        lane.draw([drawing])
    assert done.wait(20)
    worker.close()
    worker.close()
    assert all(drawing.picture is not None for drawing in frames)
    assert threads == {1}
    assert cv2.getNumThreads() == before
    worker.start()  # does nothing any more


def test_many_threads_may_ask_at_once() -> None:
    worker = batcher(batch=4)
    worker.start()
    asked: list[list[Drawing]] = [[] for _ in range(6)]

    def ask(mine: list[Drawing]) -> None:
        lane, hearing = worker.open(), worker.hearing(AVATAR, 16_000, 0)
        done = threading.Event()
        for index in range(100):
            mine.append(frame(index, 10_000 + index))
            lane.draw(mine[-1:])
            lane.listen(speech(hearing))
        last = frame(100, 20_000)
        last.wake = done.set
        mine.append(last)
        lane.draw([last])
        assert done.wait(20)
        lane.close()

    askers = [threading.Thread(target=ask, args=(mine,)) for mine in asked]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    worker.close()
    assert all(drawing.picture is not None for mine in asked for drawing in mine)


def test_live_is_25_frames_per_second() -> None:
    with pytest.raises(OptionError, match="25"):
        Batcher(Engine(stripe_backend(fps=Fraction(30))))
