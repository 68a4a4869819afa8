"""The points of the face mesh by name, and what is measured from them.

The mesh is MediaPipe's canonical face of 468 points. "Right" and "left" are the person's own, so
the right eye is on the left side of the picture. Contours run from the person's right to left,
which is from small to large x in an upright picture. Points are (468, 2) or (468, 3) arrays in
pixels, y downwards; every function looks at x and y only.
"""

from __future__ import annotations

import math

import numpy as np

from lipstream.media.image import Floats

POINTS = 468

# Lips. Inner and outer contours share their corners: (78, 308) and (61, 291).
INNER_UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
OUTER_UPPER_LIP = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
OUTER_LOWER_LIP = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
# Between the two contours, on the red of the lip.
MIDDLE_UPPER_LIP = (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306)
MIDDLE_LOWER_LIP = (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306)
UPPER_LIP_CENTRE, LOWER_LIP_CENTRE = 13, 14  # on the inner contours
UPPER_LIP_TOP, LOWER_LIP_BOTTOM = 0, 17  # in the middle of the outer contours
MOUTH_RIGHT, MOUTH_LEFT = 61, 291  # the corners of the mouth
GAP_PAIRS = ((82, 87), (13, 14), (312, 317))  # upper and lower inner lip, facing each other

# Eyes: lid contours with both corners included.
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
RIGHT_UPPER_LID = (33, 246, 161, 160, 159, 158, 157, 173, 133)
RIGHT_LOWER_LID = (33, 7, 163, 144, 145, 153, 154, 155, 133)
LEFT_UPPER_LID = (362, 398, 384, 385, 386, 387, 388, 466, 263)
LEFT_LOWER_LID = (362, 382, 381, 380, 374, 373, 390, 249, 263)
EYES = ((RIGHT_UPPER_LID, RIGHT_LOWER_LID), (LEFT_UPPER_LID, LEFT_LOWER_LID))

# Nose, forehead, chin, outline.
NOSE_TIP, NOSE_BASE, PHILTRUM = 1, 2, 164
FOREHEAD, CHIN = 10, 152
CHEEKS = (50, 280, 205, 425)
RIGHT_EDGE, LEFT_EDGE = 234, 454  # where the outline passes the ears
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288),
    *(397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136),
    *(172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)  # clockwise in the picture, from the forehead

MIN_LENGTH = 2.0  # pixels from eye to eye, from forehead to chin, and across the mouth
MAX_REACH = 2.0  # of any point from the mouth, face heights
MAX_OUTSIDE = 0.25  # of the middle of the mouth, where a clip leaves it, eye distances
MAX_SIZE = 4.0  # of a face of which a picture shows a part, sides of the picture
# Points that speech and blinking do not move: they carry the head's own motion.
RIGID = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 98, 327, 9, 8, 10, 67, 297, 127, 356)
# Points that speech moves, nose and eyes excluded.
LIPS = tuple(
    sorted(
        set(INNER_UPPER_LIP + INNER_LOWER_LIP + OUTER_UPPER_LIP + OUTER_LOWER_LIP)
        | set(MIDDLE_UPPER_LIP + MIDDLE_LOWER_LIP)
    )
)


def is_face(points: Floats, size: tuple[int, int]) -> bool:
    """Tell a face in a picture of `size` (width, height) from points that no tracker gives."""
    height, across = face_height(points), eye_distance(points)
    centre = points[[UPPER_LIP_CENTRE, LOWER_LIP_CENTRE], :2].mean(0)
    reach = float(np.abs(points[:, :2] - centre).max())
    return (
        min(height, across, mouth_width(points)) > MIN_LENGTH
        and reach < MAX_REACH * max(height, across) < MAX_REACH * MAX_SIZE * max(size)
        and bool((centre > -MAX_OUTSIDE * across).all())
        and bool((centre < np.add(size, MAX_OUTSIDE * across)).all())
    )


def eye_distance(points: Floats) -> float:
    """Pixels between the outer corners of the eyes: the unit of size of a face."""
    return _distance(points, RIGHT_EYE_OUTER, LEFT_EYE_OUTER)


def mouth_width(points: Floats) -> float:
    """Pixels between the corners of the mouth."""
    return _distance(points, MOUTH_RIGHT, MOUTH_LEFT)


def mouth_gap(points: Floats) -> float:
    """Pixels between the inner lips: mean of three facing pairs, never negative.

    The mesh reads 0.012 to 0.023 of the eye distance where lips touch, and wide smiles a quarter
    too open: subtract a rest value before judging.
    """
    return sum(_distance(points, upper, lower) for upper, lower in GAP_PAIRS) / len(GAP_PAIRS)


def face_height(points: Floats) -> float:
    """Pixels from the top of the forehead to the chin."""
    return _distance(points, FOREHEAD, CHIN)


def roll(points: Floats) -> float:
    """Radians by which the eye line is turned, clockwise in the picture positive, -pi to pi."""
    across = points[LEFT_EYE_OUTER, :2] - points[RIGHT_EYE_OUTER, :2]
    return math.atan2(float(across[1]), float(across[0]))


def yaw(points: Floats) -> float:
    """Turn of the head: the nose tip's offset along the eye line as a share of the eye distance.

    0 looks at the camera, positive turns towards the right side of the picture, about 0.35 is a
    profile.
    """
    right, left = points[RIGHT_EYE_OUTER, :2], points[LEFT_EYE_OUTER, :2]
    across = left - right
    length = float(across @ across)
    if length == 0:
        return 0.0
    return float((points[NOSE_TIP, :2] - (left + right) / 2) @ across) / length


def _distance(points: Floats, one: int, other: int) -> float:
    return float(np.linalg.norm(points[one, :2] - points[other, :2]))
