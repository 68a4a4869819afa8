"""Pictures that are enlarged before they are read between pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipstream.rendering.puppet.warp import double_resolution, enlarge, enlarge_planes


@pytest.mark.parametrize("shape", [(40, 30, 3), (1, 9, 3), (33, 47)])
def test_a_doubled_picture_keeps_its_pixels_and_is_lanczos_between_them(
    shape: tuple[int, ...],
) -> None:
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    doubled = double_resolution(picture)
    assert np.array_equal(doubled[::2, ::2], picture)
    expected = cv2.warpAffine(
        picture,
        np.array([[0.5, 0, 0], [0, 0.5, 0]]),
        (2 * shape[1], 2 * shape[0]),
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    assert np.abs(doubled.astype(int) - expected).max() <= 1


def test_planes_are_enlarged_as_channels_are() -> None:
    field = np.random.default_rng(2).standard_normal((9, 7, 2)).astype(np.float32)
    planes = enlarge_planes(np.ascontiguousarray(field.transpose(2, 0, 1)), 3, (20, 25))
    np.testing.assert_allclose(planes.transpose(1, 2, 0), enlarge(field, 3, (20, 25)), atol=1e-5)
