"""Pictures that faces are put back into: what is kept of them and what is not."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="the painters need torch")

from lipstream.avatar.avatar import AvatarFrame
from lipstream.media.i420 import BT601, to_i420
from lipstream.media.image import Box
from lipstream.rendering.musetalk.compositing import cpu
from lipstream.rendering.musetalk.compositing.background import I420Background
from lipstream.rendering.musetalk.compositing.cpu import CpuCompositor
from tests.rendering.musetalk.faces import avatar_with_faces
from tests.rendering.musetalk.networks import networks

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


def test_what_does_not_fit_is_converted_when_it_is_shown() -> None:
    pictures, convert = frames(4), Converter()
    all_kept = I420Background(pictures, partial(to_i420, matrix=BT601))
    background = I420Background(pictures, convert, room=2 * PLANES + 1)
    convert.whole = 0
    patch = np.full((6, 4), 90, np.uint8)
    region = Box(2, 4, 6, 8)
    for frame in range(4):
        assert (background.bare(frame) == all_kept.bare(frame)).all()
        found = background.with_patch(frame, patch, region)
        assert (found == all_kept.with_patch(frame, patch, region)).all()
        assert (found[region.slices] == 90).all()
    assert convert.whole == 2 * 2  # the two that were not kept, each time
    assert background.bare(0) is background.bare(0)


def test_nobody_waits_while_another_avatar_is_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    compositor = CpuCompositor(networks(), planes=True)
    known, other = avatar_with_faces(1), avatar_with_faces(2)
    before = compositor.keep(*known)
    converting, go_on = threading.Event(), threading.Event()

    def slowly(*arguments: object) -> object:
        converting.set()
        assert go_on.wait(10)
        return before

    monkeypatch.setattr(cpu, "I420Background", slowly)
    preparing = threading.Thread(target=compositor.keep, args=other)
    preparing.start()
    assert converting.wait(10)
    asked = threading.Thread(target=compositor.keep, args=known)
    asked.start()
    asked.join(10)
    waited = asked.is_alive()
    go_on.set()
    preparing.join(10)
    assert not waited and not preparing.is_alive()
