"""The few OpenCV calls that move pixels, with the choices they embody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.media.image import Floats, Image

    Points = NDArray[np.floating]


def sample(field: Floats, where: Floats) -> Floats:
    """`field` (rows, columns[, channels]) read at (..., 2) grid coordinates, edges held."""
    return cv2.remap(  # type: ignore[call-overload,no-any-return]
        field, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def warp(source: Image, where: Floats, interpolation: int = cv2.INTER_CUBIC) -> Image:
    """`source` read at (height, width, 2) pixel coordinates, edges held."""
    return cv2.remap(  # type: ignore[call-overload,no-any-return]
        source, where, None, interpolation, borderMode=cv2.BORDER_REPLICATE
    )


def doubled(image: Image) -> Image:
    """`image` at twice the resolution; pixel (x, y) is (2x, 2y) and keeps its exact value.

    Read bilinearly, it gives about the sharpness of a bicubic warp of `image` in a third of the
    time. Plain bilinear would soften the picture with every sub-pixel of motion.
    """
    height, width = image.shape[:2]
    scale = np.array([[0.5, 0, 0], [0, 0.5, 0]])
    return np.asarray(
        cv2.warpAffine(
            image,
            scale,
            (2 * width, 2 * height),
            flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )


def enlarge(field: Floats, step: int, size: tuple[int, int]) -> Floats:
    """A grid of one point per `step` pixels -> `size` (width, height) pixels, bilinear."""
    rows, columns = field.shape[:2]
    fine = cv2.resize(field, (columns * step, rows * step), interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine[: size[1], : size[0]])


def similarity(source: Points, target: Points) -> NDArray[np.float64]:
    """(2, 3) rotation, scale and shift taking (n, 2) points nearest to (n, 2) others.

    Least squares with points as complex numbers; n >= 2, not all equal.
    """
    a, b = (points[:, 0] + 1j * points[:, 1] for points in (source, target))
    a_mean, b_mean = a.mean(), b.mean()
    turn = np.vdot(a - a_mean, b - b_mean) / np.vdot(a - a_mean, a - a_mean).real
    shift = b_mean - turn * a_mean
    return np.array(
        [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]], np.float64
    )
