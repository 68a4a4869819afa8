"""The box of a face for MuseTalk: its middle is the nose, its bottom the chin.

The network repaints the lower half of the box. The rule is that of the published code, from 68
landmarks in the order of iBUG 300-W: the box reaches as far above point 29, the lower bridge of the
nose, as the lowest point lies below. Landmarks are truncated towards zero first, as there.
"""

from __future__ import annotations

import numpy as np

from lipstream.avatar.face.landmarks import POINTS
from lipstream.media.image import Box, Floats

# The points of the built-in mesh nearest to the 68 of iBUG, the usual correspondence. 168 (between
# the eyes), 197, 5 and the tip are evenly spaced, as 27 to 30 are.
IBUG_JAW = (162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389)
IBUG_BROWS = (71, 63, 105, 66, 107, 336, 296, 334, 293, 301)
IBUG_NOSE = (168, 197, 5, 4, 75, 97, 2, 326, 305)
IBUG_EYES = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
IBUG_OUTER_LIPS = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181)
IBUG_INNER_LIPS = (78, 82, 13, 312, 308, 317, 14, 87)
IBUG = (*(IBUG_JAW + IBUG_BROWS + IBUG_NOSE), *(IBUG_EYES + IBUG_OUTER_LIPS + IBUG_INNER_LIPS))
MIDDLE = 29  # the lower bridge of the nose


def landmarks_68(points: Floats) -> Floats:
    """The (68, 2) points of iBUG among the (468, 2) or (468, 3) points of the mesh, pixels."""
    assert points.shape[0] == POINTS, points.shape
    return np.ascontiguousarray(points[list(IBUG), :2], np.float32)


def face_box(landmarks: Floats, detected: Box | None = None, shift: int = 0) -> Box | None:
    """The box of a face with (68, 2) `landmarks`, in pixels; it may reach beyond the picture.

    `shift` moves the middle down by pixels (up when negative): MuseTalk 1 opens the mouth wider
    with a positive one. `detected` is the detector's box, taken as in the published code when the
    landmarks give none or reach beyond the left edge. Without it a box stays where the face is, so
    that it does not jump when a face leaves the picture. None for an empty box.
    """
    points = landmarks.astype(np.int32)
    points[MIDDLE, 1] += shift  # in place: a large shift may make it the lowest point
    left, right = int(points[:, 0].min()), int(points[:, 0].max())
    middle, bottom = int(points[MIDDLE, 1]), int(points[:, 1].max())
    box = Box(left, max(0, 2 * middle - bottom), right, bottom)
    if box.width <= 0 or box.height <= 0 or (detected is not None and left < 0):
        return detected
    return box


def with_margin(box: Box, margin: int, height: int) -> Box:
    """MuseTalk 1.5 takes `margin` more pixels below the chin, within a picture of `height`."""
    return Box(box.left, box.top, box.right, min(box.bottom + margin, height))
