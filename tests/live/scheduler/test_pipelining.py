"""A renderer that draws while its caller goes on: live and offline, never more than one waits."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.engine import Engine
from lipstream.live.clock import ManualClock
from lipstream.live.scheduler.jobs import EncodeJob, RenderJob
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.scheduler.session_queue import SessionQueue
from lipstream.media.audio import AudioChunk
from lipstream.offline import render_stream
from lipstream.rendering.base import FrameRequest, pipelined
from lipstream.rendering.registry import Backend
from lipstream.speech.base import Plan
from lipstream.timeline import FPS
from tests.fakes import StripeEncoder, StripeRenderer, blank_avatar, read_stripes
from tests.live.harness import LiveHarness
from tests.pipelines import StripePipeline

if TYPE_CHECKING:
    from lipstream.media.image import Floats

AVATAR = blank_avatar()


def engine_of(renderer: StripeRenderer, batch: int = 1, plan: Plan | None = None) -> Engine:
    encoder = StripeEncoder(plan or Plan(0, 1, 0))
    return Engine(Backend("stripes", encoder, renderer, FPS, batch, "a test"))


def live(renderer: StripePipeline, batch: int = 1) -> tuple[Scheduler, SessionQueue]:
    worker = Scheduler(engine_of(renderer, batch), clock=renderer.clock)
    return worker, worker.open()


def frame(index: int, due: int = 10_000, conditioning: Floats | None = None) -> RenderJob:
    return RenderJob(FrameRequest(AVATAR, index, conditioning), due)


def finish(worker: Scheduler) -> None:
    while worker.step():
        pass


def test_only_a_renderer_whose_device_draws_meanwhile_is_pipelined() -> None:
    renderer = StripePipeline()
    assert pipelined(renderer) is renderer
    assert pipelined(StripeRenderer()) is None
    renderer.overlaps = False
    assert pipelined(renderer) is None


def test_the_next_batch_is_begun_before_the_last_is_waited_for() -> None:
    renderer = StripePipeline()
    worker, queue = live(renderer, batch=2)
    frames = [frame(index) for index in range(5)]
    queue.draw(frames)
    finish(worker)
    assert renderer.diary == [
        *("begin 0,1", "begin 2,3", "finish 0,1"),
        *("begin 4", "finish 2,3", "finish 4"),
    ]
    assert [read_stripes(one.picture)[0] for one in frames if one.picture is not None] == [
        *range(5)
    ]
    assert (worker.counts.batches, worker.counts.drawn) == (3, 5)
    assert renderer.clock.now_ms() == 30  # the device was never idle


def test_where_nothing_overlaps_no_batch_waits_for_the_next_to_be_begun() -> None:
    """A processor draws in `finish`: its frames would be a batch late for nothing."""
    renderer = StripePipeline()
    renderer.overlaps = False
    worker, queue = live(renderer)
    frames = [frame(index) for index in range(3)]
    queue.draw(frames)
    assert worker.step() and [one.done for one in frames] == [True, False, False]
    finish(worker)
    assert renderer.diary == [f"{word} {n}" for n in range(3) for word in ("begin", "finish")]


def test_a_batch_alone_is_delivered_without_another() -> None:
    renderer = StripePipeline()
    worker, queue = live(renderer)
    one = frame(1)
    queue.draw([one])
    assert worker.step() and not one.done
    assert worker.step() and one.picture is not None
    assert not worker.step()


def test_speech_is_encoded_while_the_device_draws() -> None:
    renderer = StripePipeline()
    worker, queue = live(renderer)
    piece = EncodeJob(worker.open_encoder(AVATAR, 16_000), np.zeros(640, np.float32), False, 0)
    job = frame(1)
    order: list[str] = []
    piece.wake, job.wake = lambda: order.append("encoded"), lambda: order.append("drawn")
    queue.draw([job])
    worker.step()
    queue.encode(piece)
    queue.draw([frame(2)])
    worker.step()
    assert order == ["encoded", "drawn"]
    assert renderer.diary == ["begin 1", "begin 2", "finish 1"]


@pytest.mark.parametrize("early", [True, False])
def test_an_error_fails_the_frame_that_made_it_and_no_other(early: bool) -> None:
    renderer = StripePipeline(refuse=lambda request: request.index == 3, refuse_early=early)
    worker, queue = live(renderer, batch=3)
    frames = [frame(index) for index in range(8)]
    queue.draw(frames)
    finish(worker)
    assert [one.picture is None for one in frames] == [index == 3 for index in range(8)]
    assert isinstance(frames[3].error, RuntimeError)
    assert all(one.done for one in frames)
    assert worker.counts.failed == 1
    assert renderer.pending == 0


def test_a_frame_refused_when_begun_alone_is_not_tried_again() -> None:
    renderer = StripePipeline(refuse=lambda request: True, refuse_early=True)
    worker, queue = live(renderer)
    queue.draw([frame(1)])
    finish(worker)
    assert renderer.diary == ["begin 1"] and worker.counts.failed == 1


def test_frames_that_would_wait_too_long_behind_a_batch_are_not_begun() -> None:
    renderer = StripePipeline(cost_ms=lambda frames: 30)
    worker, queue = live(renderer)
    queue.draw([frame(index, conditioning=np.zeros(1, np.float32)) for index in range(80)])
    finish(worker)
    renderer.diary.clear()
    now = renderer.clock.now_ms()
    queue.draw([frame(100, now + 35), frame(101, now + 55), frame(102, now + 65)])
    finish(worker)
    # The first is ready after 30 ms; one begun behind it after 60.
    assert renderer.diary == ["begin 100", "begin 102", "finish 100", "finish 102"]
    assert (worker.counts.dropped, worker.counts.late) == (1, 0)


def test_late_frames_are_counted_as_they_are_delivered() -> None:
    renderer = StripePipeline(cost_ms=lambda frames: 100)
    worker, queue = live(renderer)
    late = frame(1, 50)
    queue.draw([late])
    worker.step()
    late.cancelled = True  # its owner has played on
    worker.step()
    assert worker.counts.late == 1 and worker.reserve_ms == 20


def test_closing_delivers_what_is_pending() -> None:
    renderer = StripePipeline()
    worker, queue = live(renderer)
    one, other = frame(1), frame(2)
    queue.draw([one, other])
    worker.step()
    worker.close()
    worker.close()
    assert one.picture is not None
    assert other.picture is None and renderer.pending == 0


def test_a_thread_delivers_all_and_closes_with_a_batch_in_hand() -> None:
    renderer = StripePipeline()
    worker, queue = live(renderer, batch=4)
    done = threading.Event()
    frames = [frame(index) for index in range(60)]
    frames[-1].wake = done.set
    worker.start()
    for one in frames:
        queue.draw([one])
    assert done.wait(20)
    queue.draw([frame(100)])
    worker.close()
    assert all(one.picture is not None for one in frames)
    assert renderer.pending == 0


def speech(frames: int) -> list[AudioChunk]:
    pcm = np.linspace(-1, 1, 640 * frames, dtype=np.float32)
    return [AudioChunk(part, 16_000) for part in np.split(pcm, [3 * 640, 7 * 640])]


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_offline_frames_are_those_of_an_ordinary_renderer(batch: int) -> None:
    chunks, plan = speech(12), Plan(0, 2, 320)
    plain = list(render_stream(engine_of(StripeRenderer(), batch, plan), AVATAR, chunks))
    piped = list(render_stream(engine_of(StripePipeline(), batch, plan), AVATAR, chunks))
    assert [one.timestamp_ms for one in plain] == [one.timestamp_ms for one in piped]
    for one, other in zip(plain, piped, strict=True):
        assert np.array_equal(one.frame, other.frame)


def test_offline_the_device_draws_on_while_pictures_are_written() -> None:
    renderer = StripePipeline()
    frames = render_stream(engine_of(renderer, 2, Plan(0, 2, 0)), AVATAR, speech(12))
    next(frames)
    assert renderer.diary == ["begin 0,1", "begin 2,3", "finish 0,1"]
    assert len(list(frames)) == 11 and renderer.pending == 0


def test_offline_an_error_reaches_the_caller() -> None:
    renderer = StripePipeline(refuse=lambda request: request.index == 2)
    given: Sequence[object] = []
    with pytest.raises(RuntimeError, match="drawn"):
        for one in render_stream(engine_of(renderer, 1, Plan(0, 1, 0)), AVATAR, speech(8)):
            given = [*given, one]
    assert len(given) == 2


def test_sessions_play_the_same_whoever_draws() -> None:
    played = []
    for renderer in (StripeRenderer(), StripePipeline(ManualClock(), cost_ms=lambda frames: 0)):
        encoder = StripeEncoder(Plan(0, 2, 320))
        harness = LiveHarness(Backend("stripes", encoder, renderer, FPS, 4, "a test"))
        recordings = [harness.open() for _ in range(3)]
        harness.run(500)
        for recorded, chunk in zip(recordings, speech(12), strict=True):
            recorded.speak(chunk)
        harness.run(2_000)
        assert all(recorded.in_order() and recorded.spoken for recorded in recordings)
        played.append([(recorded.sound().tobytes(), recorded.drawn) for recorded in recordings])
    assert played[0] == played[1]
