"""The MuseTalk renderer, idle and speaking; the networks are tiny ones."""

from __future__ import annotations

import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the musetalk backend needs torch")

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import build_avatar
from lipstream.clip_player import WholeAvatar
from lipstream.config import CLIP_MODES, ClipMode, MuseTalkConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.rendering.base import FrameRequest, pipelined
from lipstream.rendering.musetalk.compositing.gpu import GpuCompositor
from lipstream.rendering.musetalk.preprocess.prepare import FaceSettings
from lipstream.rendering.musetalk.renderer import MuseTalkRenderer
from lipstream.rendering.registry import Backend, open_backend
from tests.fakes import blank_avatar

if TYPE_CHECKING:
    from lipstream.media.image import Floats

PORTRAIT = Path(__file__).parents[2] / "data" / "portrait.png"


@pytest.fixture(scope="module")
def backend(models: Path) -> Backend:
    config, runtime = MuseTalkConfig(models, device="cpu"), RuntimeOptions(live=True)
    return open_backend("musetalk", musetalk=config, runtime=runtime)


@pytest.fixture(scope="module")
def musetalk(backend: Backend) -> MuseTalkRenderer:
    assert isinstance(backend.renderer, MuseTalkRenderer)
    return backend.renderer


@pytest.fixture(scope="module")
def avatar(musetalk: MuseTalkRenderer) -> Avatar:
    return musetalk.prepare(build_avatar(PORTRAIT))


@pytest.fixture(scope="module")
def conditioning(backend: Backend) -> Floats:
    state = backend.encoder.open(backend.fps)
    sound = np.random.default_rng(3).uniform(-1, 1, 640 + backend.encoder.plan.future)
    (rows,) = backend.encoder.encode([state.advance(sound.astype(np.float32), range(1))])
    row: Floats = rows[0]
    return row


def test_a_cpu_is_given_one_batch_after_the_other(musetalk: MuseTalkRenderer) -> None:
    assert pipelined(musetalk) is None


def test_an_idle_frame_is_the_source_picture_and_runs_no_network(
    musetalk: MuseTalkRenderer,
    avatar: Avatar,
    conditioning: Floats,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*_: Any) -> Any:
        raise AssertionError("the network ran")

    monkeypatch.setattr(musetalk.networks.unet, "forward", run)
    requests = [FrameRequest(avatar, 7, None), FrameRequest(avatar, 7, conditioning, 0.0)]
    for picture in musetalk.render(requests):
        assert np.array_equal(picture, avatar.frames[0].pixels)
        assert picture is not avatar.frames[0].pixels


def test_a_part_of_a_clip_without_a_face_is_shown_as_it_is(
    musetalk: MuseTalkRenderer, conditioning: Floats
) -> None:
    part = musetalk.prepare(blank_avatar(frames=3))  # its report tells of no face
    (picture,) = musetalk.render([FrameRequest(part, 2, conditioning)])
    assert np.array_equal(picture, part.frames[2].pixels)


@pytest.mark.parametrize("mode", CLIP_MODES)
def test_a_clip_of_30_fps_shows_each_of_its_frames_once_at_30_fps(
    musetalk: MuseTalkRenderer, backend: Backend, mode: ClipMode
) -> None:
    clip = replace(blank_avatar(frames=7), fps=Fraction(30))  # each frame is as grey as its number
    renderer = MuseTalkRenderer(musetalk.networks, Fraction(30))
    engine = Engine(replace(backend, renderer=renderer, fps=Fraction(30)))
    player = WholeAvatar(clip, mode, engine, None)
    shown = [player.show(index)[0] for index in range(7)]
    pictures = renderer.render([FrameRequest(one.avatar, one.index, None) for one in shown])
    assert [int(picture[0, 0, 0]) for picture in pictures] == list(range(7))


def test_the_blend_weight_leads_from_the_picture_to_the_generated_face(
    musetalk: MuseTalkRenderer, avatar: Avatar, conditioning: Floats
) -> None:
    source = avatar.frames[0].pixels.astype(int)
    weights = (None, 0.25, 0.5, 1.0)
    pictures = musetalk.render(
        [
            FrameRequest(avatar, 0, None if weight is None else conditioning, weight or 0.0)
            for weight in weights
        ]
    )
    away = [np.abs(picture.astype(int) - source).sum() for picture in pictures]
    assert away[0] == 0 < away[1] < away[2] < away[3]
    # Half way is the mean of both ends, to within rounding.
    mean = (source + pictures[3].astype(int)) / 2
    assert np.abs(pictures[2] - mean).max() <= 2


def test_the_device_path_gives_the_same_pictures(
    musetalk: MuseTalkRenderer, avatar: Avatar, conditioning: Floats
) -> None:
    compositor = GpuCompositor(musetalk.networks, batch=2)
    on_device = MuseTalkRenderer(musetalk.networks, compositor=compositor)
    requests = [
        FrameRequest(avatar, 3, conditioning),
        FrameRequest(avatar, 4, None),
        FrameRequest(avatar, 5, 2 * conditioning, 0.5),
        FrameRequest(avatar, 6, -conditioning),
    ]
    expected = musetalk.render(requests)
    for one, other in zip(on_device.render(requests), expected, strict=True):
        away = np.abs(one.astype(int) - other)
        assert away.max() <= 2  # of the networks' rounding and of the composite's
        assert away.mean() <= 0.02


def test_avatars_speak_while_another_is_prepared(
    musetalk: MuseTalkRenderer, conditioning: Floats
) -> None:
    begun, released = threading.Event(), threading.Event()

    def parse(square: Any) -> Any:
        begun.set()
        assert released.wait(20)
        return np.full((512, 512), 13, np.uint8)

    settings = FaceSettings("v15", labels="bisenet")
    slow = MuseTalkRenderer(musetalk.networks, settings=settings, parse=parse)
    released.set()
    ready = slow.prepare(build_avatar(PORTRAIT))
    released.clear()
    begun.clear()
    other = threading.Thread(target=slow.prepare, args=(build_avatar(PORTRAIT),))
    other.start()
    try:
        assert begun.wait(20)
        (picture,) = slow.render([FrameRequest(ready, 0, conditioning)])
        assert picture.shape == ready.frames[0].pixels.shape
        assert other.is_alive()
    finally:
        released.set()
        other.join()
