"""The colours of a mouth, taken from the face that it belongs to.

Nothing has a colour of its own: gum, tongue and cavity continue the step from the skin's colour to
that of the lips, teeth have the white of the eyes. So a mouth is grey in a grey picture, brown
under old varnish and dim in a dim one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Floats, Image
from lipstream.rendering.puppet.warp import Doubles

SKIN_POINTS = (*lm.CHEEKS, 151, 101, 330)
LOWER_LIP_POINTS = lm.MIDDLE_LOWER_LIP[2:-2]
LIP_POINTS = lm.MIDDLE_UPPER_LIP[2:-2] + LOWER_LIP_POINTS
LUMA = np.array([0.299, 0.587, 0.114])
PATCH = 0.02  # eye distances from a landmark to the side of the square that is averaged there
EYE_SIZE = 200  # pixels of an eye's width at which its white is measured
MIN_WHITE = 200  # pixels of it at that size; with fewer the eye is shut
IRIS = 0.17  # eye widths to either side of an eye's middle that may be iris
# The white's brightness is the middle of these quantiles, its tint the mean of what lies between:
# darker are lashes and the shade of the lid, brighter are glints.
WHITE_SHARES = (0.80, 0.90, 0.97)
# Eye white over the skin's brightness: darker eyes are shut, shaded or all iris.
SHADED_WHITE = (0.64, 0.70)
FLESH = 0.45, 1.35  # a channel over the brightness: lips may be painted, what lies behind is not
# Teeth are about as bright as the white of the eyes, and not much brighter than light skin.
TOOTH_PER_EYE_WHITE, TOOTH_PER_SKIN, TOOTH_PER_SKIN_ALONE = 1.03, 1.06, 0.95


@dataclass(frozen=True, slots=True, eq=False)
class MouthColours:
    """The (3,) RGB colours of a mouth, 0 to 255, in the light and the tint of its picture."""

    tooth: Doubles
    cavity: Doubles
    gum: Doubles
    tongue: Doubles

    @staticmethod
    def of(image: Image, points: Floats) -> MouthColours:
        """Measure the face with (468, 2) landmarks `points` in `image`."""
        skin = median_colour(image, points, SKIN_POINTS)
        lip = median_colour(image, points, LIP_POINTS)
        light = float(skin @ LUMA)
        red = float(median_colour(image, points, LOWER_LIP_POINTS) @ LUMA)
        # Light that reaches the inside has met flesh more than once, so its colour is that of the
        # lips to a power: far inside it is darker and redder.
        tint = np.clip(lip / max(float(lip @ LUMA), 1), 0.45, 1.5)
        # Flesh is redder than lips where lips are redder than skin: not in a sepia print.
        redder = tint[0] / max(skin[0] / max(light, 1), 0.1) - 1
        flesh = tint * (1 + float(np.clip(3 * redder, 0, 1)) * np.array([0.20, -0.10, 0.0]))
        flesh = np.clip(flesh, *FLESH)
        # Lips in deep shade or dark paint are no measure of how bright the tongue is.
        brightness = float(np.clip(red, 0.50 * light, 0.80 * light))
        return MouthColours(
            tooth=_tooth(image, points, skin),
            cavity=0.23 * brightness * _power(flesh, 1.7),
            gum=0.58 * brightness * _power(flesh, 1.1),
            tongue=0.64 * brightness * _power(flesh, 1.1),
        )


def _power(tint: Doubles, exponent: float) -> Doubles:
    """Raise a colour of brightness 1 to a power and bring it back to brightness 1."""
    raised = tint**exponent
    return np.asarray(raised / float(raised @ LUMA), np.float64)


def _tooth(image: Image, points: Floats, skin: Doubles) -> Doubles:
    light = float(skin @ LUMA)
    tone = skin / max(light, 1)
    tint = 0.50 + 0.50 * tone
    brightness = TOOTH_PER_SKIN_ALONE * light
    white = eye_white(image, points)
    if white is not None:
        measured = max(float(white @ LUMA), 1.0)
        seen = float(np.interp(measured / max(light, 1), SHADED_WHITE, (0, 1)))
        # On dark skin teeth are far brighter than the skin, on light skin not much.
        by_eyes = max(min(TOOTH_PER_EYE_WHITE * measured, TOOTH_PER_SKIN * light), 0.85 * measured)
        brightness += seen * (by_eyes - brightness)
        # A white is no more coloured than the skin, or it is a reflection.
        pale = np.clip(white / measured, np.minimum(tone, 1), np.maximum(tone, 1))
        tint = tint + 0.5 * seen * (0.15 + 0.85 * pale - tint)
    return np.asarray(np.clip(brightness * tint / (tint @ LUMA), 0, 245))


def eye_white(image: Image, points: Floats) -> Doubles | None:
    """Measure the (3,) RGB of the white of the brighter eye, beside its iris.

    None where both eyes are too small or outside of the picture.
    """
    whites = [white for lids in lm.EYES if (white := _white_of(image, points, lids)) is not None]
    return max(whites, key=lambda white: float(white @ LUMA), default=None)


def _white_of(image: Image, points: Floats, lids: tuple[Sequence[int], ...]) -> Doubles | None:
    upper, lower = lids
    outline = points[[*upper, *lower[-2:0:-1]], :2]
    across = points[upper[-1], :2] - points[upper[0], :2]
    width = max(float(np.linalg.norm(across)), 1.0)
    left, top = np.floor(outline.min(0) - 2).astype(int)
    right, bottom = np.ceil(outline.max(0) + 3).astype(int)
    if left < 0 or top < 0 or right > image.shape[1] or bottom > image.shape[0]:
        return None
    # A white a few pixels wide is read between the pixels.
    zoom = EYE_SIZE / width
    near = cv2.resize(
        image[top:bottom, left:right], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC
    )
    inside = np.zeros(near.shape[:2], np.uint8)
    placed = (outline - (left, top) + 0.5) * zoom
    cv2.fillPoly(inside, [np.round(placed).astype(np.int32)], (1,))
    # The rims of the lids and the lashes are left out.
    inside = np.asarray(cv2.erode(inside, np.ones((3, 3), np.uint8), iterations=4), np.uint8)
    rows, columns = np.nonzero(inside)
    away = np.abs((np.stack([columns, rows], -1) - placed.mean(0)) @ across) / (width * EYE_SIZE)
    pixels = near[rows, columns][away > IRIS].astype(np.float64)
    if len(pixels) < MIN_WHITE:
        return None
    brightness = pixels @ LUMA
    low, white, high = np.quantile(brightness, WHITE_SHARES)
    mean = pixels[(brightness >= low) & (brightness <= high)].mean(0)
    return np.asarray(mean * (white / max(float(mean @ LUMA), 1)), np.float64)


def median_colour(image: Image, points: Floats, indices: Sequence[int]) -> Doubles:
    """The median (3,) RGB of the picture at some of its landmarks."""
    reach = max(1, round(PATCH * lm.eye_distance(points)))
    return np.asarray(np.median([_patch(image, points[index], reach) for index in indices], 0))


def _patch(image: Image, point: Floats, reach: int) -> Doubles:
    """The mean colour around a point, which may lie outside of the picture."""
    x, y = (round(float(value)) for value in point[:2])
    height, width = image.shape[:2]
    patch = image[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
    if patch.size == 0:
        patch = image[min(max(y, 0), height - 1), min(max(x, 0), width - 1)]
    return np.asarray(patch.reshape(-1, 3).mean(0), np.float64)
