"""Drawing in worker processes gives what drawing here gives, whatever happens to a worker."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.config import AvatarConfig, MotionConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.errors import FaceError
from lipstream.media.audio import AudioChunk
from lipstream.offline import render_stream
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.puppet.renderer import PuppetRenderer
from lipstream.rendering.puppet.worker_pool import PuppetWorkerPool, workers_supported
from lipstream.rendering.puppet.worker_protocol import DRAW, MOTIONS
from lipstream.rendering.registry import open_backend
from tests.fakes import blank_avatar

DATA = Path(__file__).parents[2] / "data"
MOTION = MotionConfig(seed=7)
OPEN = np.array([0.8, 0.1, 0.2, 0, 0, 0.3, 0.1], np.float32)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not workers_supported(), reason="this system cannot hand open files to a process"
    ),
]


@pytest.fixture(scope="module")
def portrait() -> Avatar:
    return open_avatar(DATA / "portrait.png", AvatarConfig())


@pytest.fixture
def pool() -> Iterator[PuppetWorkerPool]:
    opened = PuppetWorkerPool(Fraction(25), MOTION, 2)
    yield opened
    opened.close()


def some_frames(avatar: Avatar, count: int = 3) -> list[FrameRequest]:
    return [
        FrameRequest(
            avatar,
            7 * k,
            None if k % 4 == 1 else OPEN * np.float32(k % 3),
            1 - k % 2 / 2,
            MOTIONS[k % 4],
        )
        for k in range(count)
    ]


def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in a thread."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.01)


def send(pool: PuppetWorkerPool, place: int, number: signal.Signals) -> int:
    """Send a signal to a worker; its process id."""
    process = pool._workers[place].process
    os.kill(process.pid, number)
    return process.pid


@pytest.mark.parametrize("pixel_format", ["rgb24", "i420"])
@pytest.mark.parametrize("count", [1, 3])
def test_pictures_and_their_order_are_those_of_drawing_here(
    portrait: Avatar, count: int, pixel_format: str
) -> None:
    fps, requests = Fraction(25), some_frames(portrait, 24)
    expected = PuppetRenderer(fps, MOTION, pixel_format).render(requests)  # type: ignore[arg-type]
    opened = PuppetWorkerPool(fps, MOTION, count, pixel_format)  # type: ignore[arg-type]
    try:
        assert opened.prepare(portrait) is portrait
        for drawn, here in zip(opened.render(requests), expected, strict=True):
            assert drawn.shape == here.shape and np.array_equal(drawn, here)
    finally:
        opened.close()


def test_a_video_is_the_same_whoever_draws(portrait: Avatar) -> None:
    sound = AudioChunk(np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    videos = []
    for processes in (0, 2):
        backend = open_backend("puppet", motion=MOTION, processes=processes)
        avatar = backend.renderer.prepare(portrait)
        videos.append(list(render_stream(Engine(backend), avatar, [sound])))
        backend.close()
    assert [one.timestamp_ms for one in videos[0]] == [one.timestamp_ms for one in videos[1]]
    for here, there in zip(*videos, strict=True):
        assert np.array_equal(here.frame, there.frame)


def test_a_picture_is_not_written_to_again(pool: PuppetWorkerPool, portrait: Avatar) -> None:
    first = pool.render(some_frames(portrait)[:1])[0]
    kept = first.copy()
    pool.render(some_frames(portrait, 8))
    assert np.array_equal(first, kept)


def test_an_error_concerns_one_avatar_or_frame(pool: PuppetWorkerPool, portrait: Avatar) -> None:
    with pytest.raises(FaceError, match="has no face"):
        pool.prepare(blank_avatar())
    with pytest.raises(RuntimeError, match="ValueError"):
        pool.render([FrameRequest(portrait, 0, OPEN[:3])])
    assert len(pool.render(some_frames(portrait))) == 3
    assert pool.restarts == 0


def test_a_frame_of_an_avatar_that_is_not_prepared_fails_at_once(
    pool: PuppetWorkerPool, portrait: Avatar
) -> None:
    with pytest.raises(RuntimeError, match="not prepared"):
        pool.submit(FrameRequest(portrait, 0, None)).result(10)


def test_frames_are_drawn_while_another_avatar_is_loaded(
    pool: PuppetWorkerPool, portrait: Avatar
) -> None:
    pool.prepare(portrait)
    other = open_avatar(DATA / "portrait.png", AvatarConfig())
    loading = threading.Thread(target=pool.prepare, args=(other,))
    send(pool, 0, signal.SIGSTOP)  # so that the load cannot end
    loading.start()
    until(lambda: pool._workers[0].head is not None)
    assert len(pool.render(some_frames(portrait, 12))) == 12
    assert loading.is_alive() and pool.restarts == 0
    send(pool, 0, signal.SIGCONT)
    loading.join(60)
    assert len(pool.render(some_frames(other, 4))) == 4


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_dies_or_hangs_is_replaced_and_costs_no_picture(
    pool: PuppetWorkerPool, portrait: Avatar, blow: signal.Signals
) -> None:
    requests = some_frames(portrait, 20)
    expected = pool.render(requests)
    victim = send(pool, 0, blow)
    drawn = [pool.submit(request) for request in requests]
    assert not wait(drawn, 60).not_done
    for one, before in zip(drawn, expected, strict=True):
        assert np.array_equal(one.result(), before)
    until(lambda: pool._workers[0].process.pid != victim and bool(pool._workers[0].loaded))
    assert pool.restarts == 1 and pool.fault is None
    assert len(pool.render(requests)) == 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_for_the_whole_group_end_no_worker(
    pool: PuppetWorkerPool, portrait: Avatar, number: signal.Signals
) -> None:
    """A server that was told to stop draws on while it lets speech end."""
    pool.prepare(portrait)
    for place in range(2):
        send(pool, place, number)
    assert len(pool.render(some_frames(portrait, 20))) == 20
    assert pool.restarts == 0


def test_a_worker_that_answers_nonsense_is_replaced(
    pool: PuppetWorkerPool, portrait: Avatar
) -> None:
    pool.prepare(portrait)
    with pool._lock:  # a request that the pool knows nothing of
        pool._workers[1]._send(DRAW, 0, 77, b"")
    until(lambda: pool.restarts == 1)
    assert len(pool.render(some_frames(portrait, 6))) == 6


def test_without_any_worker_frames_fail_and_the_pool_recovers(
    pool: PuppetWorkerPool, portrait: Avatar
) -> None:
    pool.prepare(portrait)
    with pool._loads:  # keeps newcomers from loading their avatars
        for place in range(2):
            send(pool, place, signal.SIGKILL)
        until(lambda: pool.restarts == 2)
        results = [pool.submit(request) for request in some_frames(portrait, 4)]
        assert not wait(results, 60).not_done
        assert all("drawing process" in str(one.exception()) for one in results)
    until(lambda: all(worker.loaded for worker in pool._workers))
    assert len(pool.render(some_frames(portrait))) == 3


def test_closing_ends_the_processes(portrait: Avatar) -> None:
    backend = open_backend("puppet", processes=2)
    pool = backend.renderer
    assert isinstance(pool, PuppetWorkerPool) and backend.parallelism == 2
    pool.prepare(portrait)
    processes = [worker.process for worker in pool._workers]
    backend.close()
    assert [process.returncode for process in processes] == [0, 0]
    backend.close()


def test_closing_while_drawing_and_loading_fails_what_is_in_flight(
    pool: PuppetWorkerPool, portrait: Avatar
) -> None:
    pool.prepare(portrait)
    other, errors = open_avatar(DATA / "portrait.png", AvatarConfig()), []

    def prepare() -> None:
        try:
            pool.prepare(other)
        except RuntimeError as error:
            errors.append(error)

    for place in range(2):
        send(pool, place, signal.SIGSTOP)
    results = [pool.submit(request) for request in some_frames(portrait, 12)]
    loading = threading.Thread(target=prepare)
    loading.start()
    until(lambda: pool._workers[0]._loading is not None)
    pool.close()
    loading.join(60)
    assert len(errors) == 1 and all(one.exception(10) is not None for one in results)
    assert all(worker.process.returncode is not None for worker in pool._workers)


def test_an_avatar_that_nobody_holds_is_dropped(pool: PuppetWorkerPool) -> None:
    avatar = open_avatar(DATA / "portrait.png", AvatarConfig())
    pool.prepare(avatar)
    del avatar
    other = open_avatar(DATA / "portrait.png", AvatarConfig())
    pool.render([FrameRequest(other, 0, None)])
    assert [worker.loaded for worker in pool._workers] == [{2}, {2}]


def test_the_options_of_the_backend_choose_the_pixel_format(portrait: Avatar) -> None:
    for processes in (0, 2):
        backend = open_backend(
            "puppet", runtime=RuntimeOptions(pixel_format="i420"), processes=processes
        )
        (picture,) = backend.renderer.render([FrameRequest(portrait, 0, None)])
        backend.close()
        width, height = portrait.size
        assert picture.shape == (height * 3 // 2, width)
