"""Drawing elsewhere gives what drawing here gives."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.config import AvatarConfig, MotionConfig
from lipstream.errors import FaceError
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.puppet.renderer import PuppetRenderer
from lipstream.rendering.puppet.worker_pool import PuppetWorkerPool, possible
from lipstream.rendering.registry import open_backend
from tests.fakes import blank_avatar

DATA = Path(__file__).parents[2] / "data"
MOTION = MotionConfig(seed=7)
OPEN = np.array([0.8, 0.1, 0.2, 0, 0, 0.3, 0.1], np.float32)

pytestmark = pytest.mark.skipif(not possible(), reason="this system cannot hand files on")


@pytest.fixture(scope="module")
def portrait() -> Avatar:
    return open_avatar(DATA / "portrait.png", AvatarConfig())


@pytest.fixture
def processes() -> Iterator[PuppetWorkerPool]:
    opened = PuppetWorkerPool(Fraction(25), MOTION, 2)
    yield opened
    opened.close()


def some_frames(avatar: Avatar) -> list[FrameRequest]:
    return [
        FrameRequest(avatar, 3, OPEN),
        FrameRequest(avatar, 40, None),
        FrameRequest(avatar, 41, OPEN * np.float32(0.5), 0.5),
    ]


def test_the_pictures_are_the_same(processes: PuppetWorkerPool, portrait: Avatar) -> None:
    here = PuppetRenderer(Fraction(25), MOTION)
    requests = some_frames(portrait)
    assert processes.prepare(portrait) is portrait
    for drawn, expected in zip(processes.render(requests), here.render(requests), strict=True):
        assert np.array_equal(drawn, expected)


def test_a_picture_is_not_written_to_again(processes: PuppetWorkerPool, portrait: Avatar) -> None:
    first = processes.render(some_frames(portrait)[:1])[0]
    kept = first.copy()
    processes.render(some_frames(portrait))
    assert np.array_equal(first, kept)


def test_what_cannot_be_drawn_is_told_and_hurts_nobody(
    processes: PuppetWorkerPool, portrait: Avatar
) -> None:
    with pytest.raises(FaceError, match="has no face"):
        processes.prepare(blank_avatar())
    with pytest.raises(RuntimeError, match="ValueError"):
        processes.render([FrameRequest(portrait, 0, OPEN[:3])])
    assert len(processes.render(some_frames(portrait))) == 3


def test_a_process_that_dies_is_replaced(processes: PuppetWorkerPool, portrait: Avatar) -> None:
    requests = some_frames(portrait)[:2]
    expected = processes.render(requests)
    child = processes._children[0]._process
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    with pytest.raises(RuntimeError, match="has died"):
        processes.render(requests)
    for drawn, before in zip(processes.render(requests), expected, strict=True):
        assert np.array_equal(drawn, before)


def test_closing_ends_the_processes(portrait: Avatar) -> None:
    backend = open_backend("puppet", processes=1)
    renderer = backend.renderer
    assert isinstance(renderer, PuppetWorkerPool)
    renderer.prepare(portrait)
    child = renderer._children[0]._process
    backend.close()
    assert child.returncode == 0
    backend.close()


def test_an_avatar_that_nobody_holds_is_forgotten(processes: PuppetWorkerPool) -> None:
    avatar = open_avatar(DATA / "portrait.png", AvatarConfig())
    processes.prepare(avatar)
    del avatar
    assert list(processes._gone) == [1]
    other = open_avatar(DATA / "portrait.png", AvatarConfig())
    processes.render([FrameRequest(other, 0, None)])
    assert not processes._gone
