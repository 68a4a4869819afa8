from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipstream.media.image import Box
from lipstream.rendering.musetalk.compositing import blend as blending
from lipstream.rendering.musetalk.compositing.blend import (
    blend,
    crop_face,
    crop_picture,
    crop_square,
    feathered_mask,
    mix,
    plan_blend,
)

RANDOM = np.random.default_rng(5)
WHITE = np.full((512, 512), 255, np.uint8)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    image = RANDOM.integers(0, 256, (90, 120, 3), np.uint8)
    image.flags.writeable = False
    return image


def test_mixing_rounds_exactly() -> None:
    grid = np.meshgrid(np.arange(0, 256, 5), np.arange(0, 256, 3), np.arange(256))
    below, above, mask = (part.reshape(-1, 1) for part in grid)
    exact = (2 * (below * (255 - mask) + above * mask) + 255) // 510
    one, other, weight = (part.astype(np.uint8) for part in (below, above, mask))
    mixed = mix(one[..., None].repeat(3, 2), other[..., None].repeat(3, 2), weight)
    assert (mixed == exact[..., None]).all()


BOXES = [
    *(Box(40, 20, 80, 70), Box(-15, 20, 25, 70), Box(90, 20, 140, 70), Box(40, -20, 80, 30)),
    *(Box(40, 60, 80, 110), Box(-20, -10, 150, 120), Box(130, 20, 170, 60), Box(5, 5, 7, 8)),
]


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_only_the_lower_half_of_the_face_changes(picture: np.ndarray, box: Box) -> None:
    square = crop_square(box)
    plan = plan_blend(feathered_mask(WHITE, box, square), box, square, (120, 90))
    face = RANDOM.integers(0, 256, (64, 64, 3), np.uint8)
    before = picture.copy()
    patch, region = blend(picture, face, plan)
    assert (picture == before).all()
    assert patch.shape == (region.height, region.width, 3) == (*plan.mask.shape, 3)
    assert region == region.clip(120, 90)
    if region.width:
        assert box.left <= region.left and region.right <= box.right
        assert region.bottom <= box.bottom
        # The blur may reach half its kernel above the middle of the square.
        reach = blending.blur_size(square.width, blending.FEATHER) // 2
        assert region.top >= square.top + square.height // 2 - reach
    if region.width > 4:
        assert plan.mask.max() > 0 and (patch != picture[region.slices]).any()


def test_a_mask_of_nothing_changes_nothing(picture: np.ndarray) -> None:
    box = Box(40, 20, 80, 70)
    square = crop_square(box)
    mask = feathered_mask(np.zeros_like(WHITE), box, square)
    patch, region = blend(
        picture, np.zeros((8, 8, 3), np.uint8), plan_blend(mask, box, square, (120, 90))
    )
    assert patch.size == 0 == region.width * region.height
    assert (picture[region.slices] == patch).all()


def test_the_patch_is_what_compositing_the_whole_square_gives(picture: np.ndarray) -> None:
    box = Box(35, 20, 85, 80)
    square = crop_square(box)
    mask = feathered_mask(WHITE, box, square)
    face = RANDOM.integers(0, 256, (60, 50, 3), np.uint8)
    whole = picture.copy()
    above = picture.copy()
    above[box.slices] = face
    whole_mask = np.zeros((90, 120), np.uint8)
    inside = square.clip(120, 90)
    whole_mask[inside.slices] = mask[inside.within(square).slices]
    expected = mix(whole, above, whole_mask)
    patch, region = blend(picture, face, plan_blend(mask, box, square, (120, 90)))
    whole[region.slices] = patch
    assert (whole == expected).all()


def test_a_face_beyond_the_picture_is_filled_up_not_stretched(picture: np.ndarray) -> None:
    inner, outer = Box(80, 20, 120, 60), Box(80, 20, 140, 80)
    padded = cv2.copyMakeBorder(picture, 0, 50, 0, 50, cv2.BORDER_REPLICATE)
    expected = cv2.resize(padded[outer.slices], (256, 256), interpolation=cv2.INTER_LANCZOS4)
    assert (crop_face(picture, outer, 256) == expected).all()
    stretched = cv2.resize(picture[inner.slices], (256, 256), interpolation=cv2.INTER_LANCZOS4)
    assert (crop_face(picture, inner, 256) == stretched).all()


def test_the_parser_sees_black_beyond_the_picture(picture: np.ndarray) -> None:
    seen = crop_picture(picture, Box(-10, -5, 40, 45))
    assert seen.shape == (50, 50, 3)
    assert not seen[:5].any() and not seen[:, :10].any()
    assert (seen[5:, 10:] == picture[:45, :40]).all()
    assert not crop_picture(picture, Box(200, 0, 210, 10)).any()
