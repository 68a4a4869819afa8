"""The part of a face that MuseTalk may repaint, from the labels of its pixels.

Labels are those of CelebAMask-HQ, 512 x 512 over the square around the face, from the face-parsing
network (`models.bisenet`) or, without its weights, drawn as polygons between the landmarks.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face import landmarks as lm
from lipstream.errors import OptionError
from lipstream.media.image import Box, Floats

Mask: TypeAlias = NDArray[np.uint8]  # (height, width), 0 keeps the picture, 255 repaints it
Labels: TypeAlias = NDArray[np.uint8]  # (512, 512)

SIDE = 512
MODES = ("raw", "jaw", "neck")
SKIN, RIGHT_EYE, LEFT_EYE = 1, 4, 5
NOSE, MOUTH, UPPER_LIP, LOWER_LIP, NECK = 10, 11, 12, 13, 14
LIPS = (MOUTH, UPPER_LIP, LOWER_LIP)
REPAINTED = {"raw": (SKIN, *LIPS), "neck": (SKIN, *LIPS, NECK)}

CONE, TAIL = 21, 12  # rows of the kernel that dilates skin: a triangle above a bar
CHEEK_SIZE = (35, 3)  # width and height of the ellipse that erodes the cheeks
CHEEK_ROUNDS = 2

# The wings and the tip; the bridge above them is never repainted.
NOSE_OUTLINE = (168, 193, 245, 188, 174, 217, 209, 49, 129, 64, 98, 97, 2)
NOSE_OUTLINE_LEFT = (326, 327, 294, 358, 279, 429, 437, 399, 412, 465, 417)
SUBPIXEL = 4  # bits of fraction in drawn corners


def repaint_mask(labels: Labels, mode: str, cheeks: tuple[int, int] = (90, 90)) -> Mask:
    """The (512, 512) mask of what `mode` repaints: raw (version 1), jaw (1.5) or neck.

    Jaw lets the chin grow: skin is dilated, more upwards than down, then worn away on both sides
    further than `cheeks` (left and right, pixels of 512) from the middle, and the nose is left.
    """
    check_mode(mode)
    if mode != "jaw":
        return _binary(np.isin(labels, REPAINTED[mode]))
    grown = cv2.dilate(_binary(labels == SKIN), dilate_kernel())
    worn = cv2.erode(grown, cheek_kernel(), iterations=CHEEK_ROUNDS)
    skin = np.where(cheek_mask(cheeks) == 255, worn, grown)
    return _binary(((skin == 255) & (labels != NOSE)) | np.isin(labels, LIPS))


def check_mode(mode: str) -> None:
    """`OptionError` unless `mode` is one of `MODES`."""
    if mode not in MODES:
        raise OptionError(f"there is no mask {mode!r}; use one of {', '.join(MODES)}.")


def dilate_kernel() -> Mask:
    """(33, 33): a triangle that widens to 21 over a bar as wide, its tip six rows up from centre.

    So skin reaches 16 rows up, and 6 rows down.
    """
    size = CONE + TAIL
    kernel = np.zeros((size, size), np.uint8)
    for row in range(CONE // 2, size):
        reach = min(row - CONE // 2, CONE // 2)
        kernel[row, size // 2 - reach : size // 2 + reach + 1] = 1
    return kernel


def cheek_kernel() -> Mask:
    """(3, 35): a flat ellipse; eroding with it wears away 17 pixels to either side."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, CHEEK_SIZE), np.uint8)


def cheek_mask(cheeks: tuple[int, int]) -> Mask:
    """(512, 512): 255 where cheeks are worn away, left and right of the middle."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, : max(SIDE // 2 - cheeks[0] + 1, 0)] = 255
    mask[:, SIDE // 2 + cheeks[1] :] = 255
    return mask


def labels_from_landmarks(points: Floats, crop: Box) -> Labels:
    """(512, 512) labels of the square `crop`, in pixels of the picture, drawn from the mesh.

    `points` are (468, 2) pixels of the picture. Skin is the face's outline, with eyes, nose
    and lips on top; nothing else is known, so hair, neck and glasses are background or skin.
    """
    scale = np.array([SIDE / crop.width, SIDE / crop.height])
    # Pixel centres lie at whole numbers plus one half, and so they do after resizing.
    unit = (points[:, :2].astype(np.float64) - (crop.left, crop.top)) * scale - 0.5
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for label, outline in _outlines():
        corners = np.rint(unit[list(outline)] * (1 << SUBPIXEL)).astype(np.int32)
        cv2.fillPoly(labels, [corners], label, shift=SUBPIXEL)
    return labels


def _outlines() -> list[tuple[int, tuple[int, ...]]]:
    """Labels and the mesh points around them, in the order of drawing."""
    eyes = [upper + lower[-2:0:-1] for upper, lower in lm.EYES]
    return [
        (SKIN, lm.FACE_OVAL),
        (RIGHT_EYE, eyes[0]),
        (LEFT_EYE, eyes[1]),
        (NOSE, NOSE_OUTLINE + NOSE_OUTLINE_LEFT),
        (UPPER_LIP, lm.OUTER_UPPER_LIP + lm.INNER_UPPER_LIP[::-1]),
        (LOWER_LIP, lm.OUTER_LOWER_LIP + lm.INNER_LOWER_LIP[::-1]),
        (MOUTH, lm.INNER_UPPER_LIP + lm.INNER_LOWER_LIP[-2:0:-1]),
    ]


def _binary(where: NDArray[np.bool_]) -> Mask:
    return np.where(where, np.uint8(255), np.uint8(0))
