"""Faces that are not finite: bare pictures, a warning, and the networks in a wider precision."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch

from lipstream.errors import CheckpointError
from lipstream.rendering.musetalk.compositing.base import Compositor, FaceRequest
from lipstream.rendering.musetalk.compositing.cpu import CpuCompositor
from lipstream.rendering.musetalk.compositing.gpu import GpuCompositor
from lipstream.rendering.musetalk.compositing.nonfinite import (
    MAX_FAILURES,
    PATIENCE,
    NonFiniteFaces,
)
from lipstream.rendering.musetalk.models.vae import finite_rows
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from tests.rendering.musetalk.faces import SIDE, TOKENS, face_requests
from tests.rendering.musetalk.networks import networks, shared_networks

if TYPE_CHECKING:
    from collections.abc import Callable

    from lipstream.media.image import Image
    from lipstream.rendering.base import PixelFormat


@pytest.fixture(scope="module")
def poisoned() -> MuseTalkNetworks:
    """Networks with one damaged weight of the decoder."""
    damaged = networks()
    damaged.vae.state_dict()["decoder.conv_in.weight"][0, 0, 0, 0] = torch.nan
    return damaged


def host(
    tiny: MuseTalkNetworks, nonfinite: NonFiniteFaces, pixels: PixelFormat = "rgb24"
) -> Compositor:
    return CpuCompositor(tiny, pixel_format=pixels, nonfinite=nonfinite)


def device(
    tiny: MuseTalkNetworks, nonfinite: NonFiniteFaces, pixels: PixelFormat = "rgb24"
) -> Compositor:
    return GpuCompositor(tiny, SIDE, TOKENS, batch=2, pixel_format=pixels, nonfinite=nonfinite)


both = pytest.mark.parametrize("make", [host, device])


def test_every_number_of_a_picture_counts() -> None:
    raw = torch.zeros(4, 3, 2, 2)
    raw[1, 2, 1, 1], raw[2, 0, 0, 0], raw[3, 1, 0, 1] = torch.nan, torch.inf, -torch.inf
    assert finite_rows(raw).tolist() == [True, False, False, False]


@both
@pytest.mark.parametrize("pixels", ["rgb24", "i420"])
def test_a_damaged_weight_gives_bare_pictures_and_one_warning(
    make: Callable[..., Compositor],
    pixels: PixelFormat,
    poisoned: MuseTalkNetworks,
    caplog: pytest.LogCaptureFixture,
) -> None:
    compositor = make(poisoned, NonFiniteFaces(), pixels)
    for requests in (face_requests(2), face_requests(3, seed=1)):
        for request, picture in zip(requests, compositor.begin(requests).finish(), strict=True):
            background = compositor.load(request.avatar, request.faces)
            assert np.array_equal(picture, background.picture(request.frame))
    assert compositor.nonfinite_faces == 5
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "lipstream models verify" in record.message


@pytest.mark.slow
@both
def test_only_the_face_itself_is_left_out(make: Callable[..., Compositor]) -> None:
    requests = face_requests(4)
    expected = make(shared_networks(), NonFiniteFaces()).begin(requests).finish()
    infinite = np.full_like(requests[2].conditioning, np.inf)
    mixed = [*requests[:2], replace(requests[2], conditioning=infinite), requests[3]]
    compositor = make(shared_networks(), NonFiniteFaces())
    found = compositor.begin(mixed).finish()
    assert compositor.nonfinite_faces == 1
    assert np.array_equal(found[2], bare(requests[2]))
    for place in (0, 1, 3):
        assert np.array_equal(found[place], expected[place])


@pytest.mark.slow
@both
def test_faces_that_stay_away_are_generated_in_a_wider_precision(
    make: Callable[..., Compositor], poisoned: MuseTalkNetworks
) -> None:
    loads: list[int] = []

    def widen() -> MuseTalkNetworks:
        loads.append(compositor.nonfinite_faces)
        return shared_networks()

    compositor = make(poisoned, NonFiniteFaces(widen))
    requests = face_requests(4)
    early = compositor.begin(requests[: PATIENCE - 1]).finish()
    assert all(map(np.array_equal, early, map(bare, requests)))
    expected = host(shared_networks(), NonFiniteFaces()).begin(requests).finish()
    for _ in range(2):
        for one, other in zip(compositor.begin(requests).finish(), expected, strict=True):
            assert np.abs(one.astype(int) - other).max() <= 1
    assert loads == [PATIENCE - 1 + len(requests)]


def test_live_pictures_do_not_wait_for_the_wider_networks(poisoned: MuseTalkNetworks) -> None:
    released = threading.Event()

    def widen() -> MuseTalkNetworks:
        assert released.wait(20)
        return shared_networks()

    nonfinite = NonFiniteFaces(widen, wait=False)
    compositor, requests = host(poisoned, nonfinite), face_requests(PATIENCE)
    for one, other in zip(compositor.begin(requests).finish(), requests, strict=True):
        assert np.array_equal(one, bare(other))
    (loading,) = (thread for thread in threading.enumerate() if thread.name == "wider networks")
    released.set()
    loading.join(20)
    (picture,) = compositor.begin(requests[:1]).finish()
    assert not np.array_equal(picture, bare(requests[0]))


def test_what_helps_nothing_is_given_up(
    poisoned: MuseTalkNetworks, caplog: pytest.LogCaptureFixture
) -> None:
    nonfinite = NonFiniteFaces(lambda: poisoned)
    request = face_requests(1)[0]
    for _ in range(PATIENCE + MAX_FAILURES + 2):
        assert nonfinite.again([request]) == [None]
    said = [record.message for record in caplog.records]
    assert len(said) == 3 and "in float32 from now on" in said[1] and "either" in said[2]


def test_wider_networks_that_cannot_be_loaded_leave_bare_pictures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def widen() -> MuseTalkNetworks:
        raise CheckpointError("unet.pth is gone; pull it again.")

    nonfinite = NonFiniteFaces(widen)
    assert nonfinite.again(face_requests(PATIENCE)) == [None] * PATIENCE
    assert nonfinite.again(face_requests(1)) == [None]
    assert [record.message for record in caplog.records][1:] == [
        "faces are not generated again in a wider precision: unet.pth is gone; pull it again."
    ]


def bare(request: FaceRequest) -> Image:
    """The picture without a generated face."""
    return request.avatar.frames[request.frame].pixels
