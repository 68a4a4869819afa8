from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from benchmarks.cpu import fidelity
from lipstream.media.image import Box

if TYPE_CHECKING:
    from lipstream.media.image import Image


@pytest.fixture
def source() -> Image:
    noise = np.random.default_rng(4).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)


def changed(source: Image, box: Box, by: int) -> Image:
    frame = source.copy()
    frame[box.slices] = np.clip(frame[box.slices].astype(int) + by, 0, 255)
    return frame


def test_the_redrawn_region_is_where_anything_changed(source: Image) -> None:
    box = Box(20, 30, 60, 70)
    assert fidelity.redrawn(source, [source, changed(source, box, 9)]) == box
    assert fidelity.redrawn(source, [source.copy()]) is None


def test_a_seam_around_the_region_is_seen(source: Image) -> None:
    box = Box(20, 30, 60, 70)
    assert fidelity.border_ratio(source, source, box) == pytest.approx(1)
    assert fidelity.border_ratio(source, changed(source, box, 12), box) > 1.2


def test_the_edge_of_the_picture_is_no_border(source: Image) -> None:
    whole = Box(0, 0, 100, 80)
    assert fidelity.border_ratio(source, changed(source, whole, 30), whole) == 1


def test_psnr_counts_only_where_it_is_asked(source: Image) -> None:
    box = Box(20, 30, 60, 70)
    frame = changed(source, box, 10)
    outside = np.ones(source.shape[:2], np.bool_)
    outside[box.slices] = False
    assert fidelity.psnr(source, [frame], outside) == 99
    assert fidelity.psnr(source, [frame], ~outside) == pytest.approx(28.13, abs=0.1)
