"""The pictures that faces are put back into: converted, decoded and kept no more than needed."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="the compositors need torch")

from lipstream.avatar.avatar import AvatarFrame
from lipstream.media.i420 import BT601, to_i420
from lipstream.media.image import Box
from lipstream.rendering.base import PixelFormat
from lipstream.rendering.musetalk.compositing import cpu
from lipstream.rendering.musetalk.compositing.background import (
    MAX_KEPT_BYTES,
    I420Background,
)
from lipstream.rendering.musetalk.compositing.base import FaceRequest
from lipstream.rendering.musetalk.compositing.cpu import CpuCompositor
from tests.rendering.musetalk.faces import PLACES, avatar_with_faces, face_requests
from tests.rendering.musetalk.networks import shared_networks

if TYPE_CHECKING:
    from lipstream.media.image import I420, Image

WIDTH, HEIGHT = 24, 16
PLANES = WIDTH * HEIGHT * 3 // 2  # bytes of a picture's


def frames(count: int) -> list[AvatarFrame]:
    random = np.random.default_rng(1)
    return [
        AvatarFrame(random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), None)
        for _ in range(count)
    ]


class Converter:
    """Counts whole pictures."""

    def __init__(self) -> None:
        self.whole = 0

    def __call__(self, picture: Image) -> I420:
        self.whole += picture.shape[:2] == (HEIGHT, WIDTH)
        return to_i420(picture, BT601)


@pytest.mark.parametrize(
    ("pixel_format", "kept"), [("rgb24", 0), ("i420", 0), ("i420", MAX_KEPT_BYTES)], ids=str
)
def test_a_clip_is_decoded_once_per_composited_frame(
    pixel_format: PixelFormat, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0
    decode = cv2.imdecode

    def counted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        return decode(*arguments)

    monkeypatch.setattr(cv2, "imdecode", counted)
    monkeypatch.setattr(cpu, "I420Background", partial(I420Background, max_bytes=kept))
    avatar, faces = avatar_with_faces(1)
    encoded = [cv2.imencode(".jpg", frame.pixels)[1].tobytes() for frame in avatar.frames]
    clip = replace(avatar, frames=tuple(AvatarFrame(jpeg, None) for jpeg in encoded))
    compositor = CpuCompositor(shared_networks(), pixel_format=pixel_format)
    compositor.load(clip, faces)
    count = 0
    audio = face_requests(1)[0].conditioning
    requests = [FaceRequest(clip, faces, frame, audio) for frame in range(len(PLACES))]
    assert len(compositor.begin(requests).finish()) == count == len(PLACES)


def test_what_does_not_fit_is_converted_when_it_is_shown() -> None:
    pictures, convert = frames(4), Converter()
    all_kept = I420Background(pictures, partial(to_i420, matrix=BT601))
    background = I420Background(pictures, convert, max_bytes=2 * PLANES + 1)
    convert.whole = 0
    patch = np.full((6, 4), 90, np.uint8)
    region = Box(2, 4, 6, 8)
    for frame in range(4):
        assert (background.picture(frame) == all_kept.picture(frame)).all()
        found = background.with_patch(frame, patch, region)
        assert (found == all_kept.with_patch(frame, patch, region)).all()
        assert (found[region.slices] == 90).all()
    assert convert.whole == 2 * 2  # the two that were not kept, each time
    assert background.picture(0) is background.picture(0)


def test_no_avatar_waits_while_another_avatar_is_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    compositor = CpuCompositor(shared_networks(), pixel_format="i420")
    known, other = avatar_with_faces(1), avatar_with_faces(2)
    before = compositor.load(*known)
    converting, go_on = threading.Event(), threading.Event()

    def slowly(*arguments: object) -> object:
        converting.set()
        assert go_on.wait(10)
        return before

    monkeypatch.setattr(cpu, "I420Background", slowly)
    preparing = threading.Thread(target=compositor.load, args=other)
    preparing.start()
    assert converting.wait(10)
    loading = threading.Thread(target=compositor.load, args=known)
    loading.start()
    loading.join(10)
    waited = loading.is_alive()
    go_on.set()
    preparing.join(10)
    assert not waited and not preparing.is_alive()
