"""The composite on the device, RGB and I420: against OpenCV's, and the kernel against torch."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the device path needs torch")

import torch

from lipstream.avatar.avatar import AvatarFrame
from lipstream.media.i420 import BT601, to_i420
from lipstream.media.image import Box
from lipstream.rendering.musetalk.compositing.background import even_plan
from lipstream.rendering.musetalk.compositing.blend import (
    BlendPlan,
    blend,
    crop_square,
    feathered_mask,
    plan_blend,
)
from lipstream.rendering.musetalk.compositing.blend_torch import (
    Patch,
    blended,
    rgb_to_i420,
    upload_faces,
)
from lipstream.rendering.musetalk.preprocess.prepare import FaceSettings, PreparedFaces

if TYPE_CHECKING:
    from collections.abc import Callable

    from lipstream.media.image import Image

ROOT = Path(__file__).parents[4]
SIZE = 360, 300
BOXES = [
    *(Box(90, 60, 274, 290), Box(60, 40, 190, 240), Box(-40, 50, 130, 260)),
    *(Box(220, 150, 400, 330), Box(100, 100, 228, 228), Box(20, 20, 276, 276)),
    *(Box(10, 10, 340, 180), Box(5, 5, 7, 8), Box(130, 20, 170, 60)),
]


def planned(box: Box) -> BlendPlan:
    square, white = crop_square(box), np.full((512, 512), 255, np.uint8)
    return plan_blend(feathered_mask(white, box, square), box, square, SIZE)


def noise(seed: int, height: int, width: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(seed: int, height: int, width: int) -> Image:
    return np.asarray(cv2.resize(noise(seed, 9, 7), (width, height)), np.uint8)


def both(
    picture: Image, face: Image, plan: BlendPlan, weight: float
) -> tuple[np.ndarray, np.ndarray]:
    """The region as the device has it and as OpenCV does."""
    latents = np.zeros((1, 8, 4, 4), np.float32)
    faces = PreparedFaces(FaceSettings(), latents, (None,), (plan,))
    frames = [AvatarFrame(picture, None)]
    loaded = upload_faces(frames, faces, torch.device("cpu"), torch.float32)
    found = blended(torch.from_numpy(face), Patch(loaded, 0, weight, 0)).numpy()
    expected, _ = blend(picture, face, plan, weight)
    return found.astype(int), expected.astype(int)


@pytest.mark.parametrize("draw", [noise, smooth])
@pytest.mark.parametrize("weight", [1.0, 0.35])
@pytest.mark.parametrize("box", BOXES, ids=str)
def test_bytes_are_those_of_opencv(box: Box, weight: float, draw: type) -> None:
    plan = planned(box)
    for side in (256, 512):
        picture, face = draw(1, SIZE[1], SIZE[0]), draw(2, side, side)
        found, expected = both(picture, face, plan, weight)
        assert found.shape == expected.shape
        if not found.size:
            continue
        away = np.abs(found - expected)
        assert away.max() <= 1
        assert away.mean() <= 0.02
        below = picture[plan.region.slices]
        assert (found[plan.mask == 0] == below[plan.mask == 0]).all()


def test_with_weight_zero_the_picture_stays() -> None:
    plan, picture = planned(BOXES[0]), noise(1, SIZE[1], SIZE[0])
    found, _ = both(picture, noise(2, 256, 256), plan, 0.0)
    assert (found == picture[plan.region.slices]).all()


@pytest.mark.parametrize("draw", [noise, smooth])
def test_i420_is_that_of_opencv(draw: Callable[[int, int, int], Image]) -> None:
    picture = draw(3, 120, 90)
    found = rgb_to_i420(torch.from_numpy(picture)).numpy().astype(int)
    expected = to_i420(picture, BT601)
    assert found.shape == expected.shape
    away = np.abs(found - expected)
    assert away.max() <= 1  # OpenCV's sums have few bits
    assert away.mean() <= 0.1


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 9), st.integers(1, 9))
def test_an_even_plan_changes_the_same_pixels(left: int, top: int, width: int, height: int) -> None:
    region = Box(left, top, left + width, top + height)
    mask = np.random.default_rng(left).integers(1, 256, (height, width), np.uint8)
    wide = even_plan(BlendPlan(Box(0, 0, 99, 99), region, mask))
    corners = (wide.region.left, wide.region.top, wide.region.right, wide.region.bottom)
    assert all(side % 2 == 0 for side in corners)
    assert wide.mask.shape == (wide.region.height, wide.region.width)
    assert wide.mask.size <= (width + 2) * (height + 2)
    assert (wide.mask[region.within(wide.region).slices] == mask).all()
    assert wide.mask.astype(int).sum() == mask.astype(int).sum()


@pytest.mark.full
@pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton, an extra on Linux: dev")
def test_the_kernel_agrees_in_the_interpreter() -> None:
    """In a process of its own: whether Triton interprets is settled when it is imported."""
    command = [sys.executable, "-m", "tests.rendering.musetalk.compositing.composite_cases"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_the_kernel_agrees_on_a_gpu() -> None:
    from tests.rendering.musetalk.compositing.composite_cases import check

    assert check("cuda") == []
