"""Tell a mouth that a mask covers, by its colours.

The mesh sees faces through masks: it draws on what covers a mouth as if that were skin. A beard
leaves the lips their colour, a mask does not. What has the colour of skin, such as a hand, is not
told from it, nor is a light mask in a grey picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face.landmarks import eye_distance
from lipstream.media.image import Floats, Image

SKIN = (8, 9, 107, 336, 55, 285, 168, 151, 108, 337)  # brow and forehead
MUZZLE = (  # around the mouth, and the chin
    *(57, 287, 43, 273, 106, 335, 182, 406, 201, 421, 83, 313, 18, 200, 199, 202, 422, 204, 424),
    *(212, 432, 214, 434, 210, 430),
)
LIP_MIDDLES = (0, 37, 267, 11, 13, 14, 16, 17, 84, 314)
PATCH = 0.03  # half the side of what is averaged around a point, in eye distances

# Of linear sRGB; the sums of its rows are white.
RGB_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)

# CIELAB. Portraits, painted, drawn and damaged ones too, have at most 18 and 39 degrees unless
# they are burnt out, and then 35 and 39; blue and green masks have 29 and 87 degrees or more.
MIN_HUE, MIN_SHIFT = 60.0, 22.0  # degrees; distance in the plane of colour
# Black and white masks are neutral on a face that is not, below 2.5; lips are above 9.
MAX_NEUTRAL, MIN_SKIN_CHROMA = 4.5, 9.0
MIN_DARKENING = 50.0  # of lightness; bearded lips and lower faces in shadow reach 34


def is_mouth_covered(image: Image, points: Floats) -> bool:
    """Tell whether mouth and chin have another colour than any skin like that of the brow."""
    skin, muzzle, lips = (_colour(image, points, at) for at in (SKIN, MUZZLE, LIP_MIDDLES))
    if skin is None or muzzle is None or lips is None:
        return False
    return _is_no_skin(muzzle, skin) and _is_no_skin(lips, skin)


def _is_no_skin(colour: Floats, skin: Floats) -> bool:
    chroma, skin_chroma = np.hypot(*colour[1:]), np.hypot(*skin[1:])
    shift = np.hypot(*(colour - skin)[1:])
    turn = np.arctan2(colour[2], colour[1]) - np.arctan2(skin[2], skin[1])
    hue = abs((np.degrees(turn) + 180) % 360 - 180)
    tinted = hue > MIN_HUE and shift > MIN_SHIFT
    neutral = chroma < MAX_NEUTRAL and skin_chroma > MIN_SKIN_CHROMA
    return bool(tinted or neutral or skin[0] - colour[0] > MIN_DARKENING)


def _colour(image: Image, points: Floats, at: Sequence[int]) -> Floats | None:
    """The median CIELAB colour around points; None where all lie outside the picture."""
    reach = max(1.0, eye_distance(points) * PATCH)
    patches = []
    for x, y in points[list(at), :2]:
        left, top = max(0, int(x - reach)), max(0, int(y - reach))
        patch = image[top : max(0, int(y + reach) + 1), left : max(0, int(x + reach) + 1)]
        if patch.size:
            patches.append(patch.reshape(-1, 3).mean(axis=0) / 255)
    if not patches:
        return None
    return np.asarray(np.median(_lab(np.stack(patches)), axis=0), np.float32)


def _lab(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) sRGB in 0..1 -> CIELAB of white D65, by CIE 15 and IEC 61966-2-1.

    OpenCV's conversion builds its tables first: 90 ms, for thirty colours.
    """
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    x, y, z = (linear @ RGB_TO_XYZ.T / RGB_TO_XYZ.sum(axis=1)).T
    x, y, z = (
        np.where(v > 216 / 24389, np.cbrt(v), (24389 / 27 * v + 16) / 116) for v in (x, y, z)
    )
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
