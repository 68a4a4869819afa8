"""How speech moves the skin: two layers of dense flow on the canonical face.

The upper layer carries everything above the lip line, the lower layer everything below. Each
moves by a sum of a few precomputed fields, one per gesture, so a frame costs two small matrix
products. A single layer cannot open a mouth without tearing and folds when lips meet; two layers
with rigid bands along the lips keep the edges sharp.

Lengths are mouth widths (`v`, downwards from the seam) and half mouth widths (`u`, sidewards, the
two halves measured separately so that a turned head moves right). The constants were tuned by eye
on contact sheets, starting from 18 mm of opening on a 50 mm mouth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box
from lipstream.rendering.puppet.mouth_geometry import Mouth, smoothstep
from lipstream.rendering.puppet.warp import sample

if TYPE_CHECKING:
    from lipstream.media.image import Floats

GESTURES = ("jaw", "round", "wide", "close", "tuck", "teeth")
SHADES = ("jaw", "round", "wide")  # gestures that also change how the light falls
GRID_SIDE = 80  # flow is computed on at most so many points per side, then interpolated
GAP = 0.36  # mouth widths between the lips at full jaw opening
JAW_TRAVEL = GAP - 0.04  # of it the lower jaw's share; the upper lip rises by the rest
INVERSION_STEPS = 2  # of the fixed point g(x) = F(x - g(x)); fields are smooth, two suffice

Field = NDArray[np.float64]  # (height, width)
Pair = tuple[Field, Field]  # sidewards and downwards, mouth widths


@dataclass(frozen=True, slots=True, eq=False)
class MouthFlow:
    """Everything that moves around one mouth, sampled on a coarse grid over `box`."""

    box: Box  # of the canonical picture
    scale: int  # picture pixels per grid step
    grid: Floats  # (rows, columns, 2) grid coordinates of the grid itself
    gestures: Floats  # (2, len(GESTURES), rows * columns * 2): upper and lower layer, grid steps
    opening: Floats  # (2, rows, columns, 2): canonical lips -> the picture's own lips, pixels
    edges: Floats  # (2, rows, columns): distance inside the upper and the lower layer, pixels
    shades: Floats  # (len(SHADES), rows * columns): change of brightness at full gesture
    near: Floats  # (rows, columns, 2): 1 around the mouth fading to 0, and u times that

    def to_grid(self, points: Floats) -> Floats:
        """(..., 2) pixels of the canonical picture -> grid coordinates."""
        first = np.array([self.box.left, self.box.top], np.float32) + (self.scale - 1) / 2
        return np.asarray((points - first) / self.scale, np.float32)

    def to_picture(self, grid: Floats) -> Floats:
        """(..., 2) grid coordinates -> pixels of the canonical picture."""
        first = np.array([self.box.left, self.box.top], np.float32) + (self.scale - 1) / 2
        return np.asarray(grid * self.scale + first, np.float32)

    def inverse(self, weights: Floats, layer: int) -> Floats:
        """Where each grid point of the moved layer came from: (rows, columns, 2) grid steps back.

        `weights` (len(GESTURES),) are the strengths of the gestures, about 0 to 1.
        """
        forward: Floats = (weights @ self.gestures[layer]).reshape(self.grid.shape)
        back = forward
        for _ in range(INVERSION_STEPS):
            back = sample(forward, self.grid - back)
        return back

    def brightness(self, weights: Floats) -> Floats:
        """(rows, columns) factor around 1 by which the gestures shade the skin."""
        strengths = np.array([weights[GESTURES.index(name)] for name in SHADES], np.float32)
        rows, columns = self.grid.shape[:2]
        return 1 + (strengths @ self.shades).reshape(rows, columns)


def build_flow(mouth: Mouth, points: Floats, size: tuple[int, int]) -> MouthFlow:
    """The flow of `mouth` in a picture of `size` (width, height) with landmarks `points`."""
    box = _active_box(mouth, size)
    scale = max(2, -(-max(box.width, box.height) // GRID_SIDE))
    # Grid points lie at the centres of their blocks of pixels, where cv2.resize expects them.
    x = np.arange(box.left, box.right, scale) + (scale - 1) / 2
    y = np.arange(box.top, box.bottom, scale) + (scale - 1) / 2
    picture = np.stack(np.meshgrid(x, y), -1)
    place = _Place.of(mouth, points, picture, scale)
    gestures = _gestures(place)
    layers = [
        np.stack([_to_picture(mouth, gestures[name][layer], scale).ravel() for name in GESTURES])
        for layer in (0, 1)
    ]
    shades = _shades(place)
    grid = np.stack(np.meshgrid(np.arange(len(x)), np.arange(len(y))), -1)
    return MouthFlow(
        box,
        scale,
        grid.astype(np.float32),
        np.stack(layers).astype(np.float32),
        np.stack(_opening(place)).astype(np.float32),
        _edges(place).astype(np.float32),
        np.stack([shades[name].ravel() for name in SHADES]).astype(np.float32),
        _near(place).astype(np.float32),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """The grid in the coordinates that the fields are written in; all (rows, columns)."""

    mouth: Mouth
    u: Field  # half mouth widths sidewards, signed
    v: Field  # mouth widths below the seam
    half: Field  # half width of this side in mouth widths
    upper_gap: Field  # of the picture's own mouth, mouth widths
    lower_gap: Field
    skin: Field  # 1 on the face, fading to 0 outside its outline
    below_eyes: Field  # 0 at the eyes, 1 well below: speech must never pull at them

    @staticmethod
    def of(mouth: Mouth, points: Floats, picture: Field, step: int) -> _Place:
        face = mouth.axes.to_face(picture)
        x, y = face[..., 0], face[..., 1]
        left, right = mouth.half_widths
        half = np.where(x < 0, left, right)
        columns = mouth.columns
        seam = np.interp(x, columns, mouth.seam)
        inside = (x > columns[0]) & (x < columns[-1])
        upper_gap, lower_gap = (
            np.where(inside, np.interp(x, columns, gap), 0) / mouth.width
            for gap in (mouth.upper_gap, mouth.lower_gap)
        )
        outline = cv2.convexHull(points[list(lm.FACE_OVAL), :2].astype(np.float32))
        corner = picture[0, 0]
        mask = np.zeros(x.shape, np.uint8)
        cv2.fillConvexPoly(mask, np.round((outline - corner) / step).astype(np.int32), 1)
        outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 3) * step / mouth.width
        skin = np.exp(-((outside / 0.30) ** 2)).astype(np.float64)
        lids = mouth.axes.to_face(points[list(lm.RIGHT_LOWER_LID + lm.LEFT_LOWER_LID), :2])[:, 1]
        below_eyes = smoothstep(lids.max(), lids.max() + 0.35 * mouth.width, y)
        v = (y - seam) / mouth.width
        half_share = half / mouth.width
        return _Place(mouth, x / half, v, half_share, upper_gap, lower_gap, skin, below_eyes)


def _active_box(mouth: Mouth, size: tuple[int, int]) -> Box:
    """The part of the picture that speech can move: nose to below the chin, cheek to cheek."""
    left, right = mouth.half_widths
    low = (mouth.chin + 1.15) * mouth.width
    corners = mouth.axes.to_picture(
        np.array([[x, y] for x in (-3.0 * left, 3.0 * right) for y in (-1.15 * mouth.width, low)])
    )
    (x0, y0), (x1, y1) = np.floor(corners.min(0)), np.ceil(corners.max(0))
    return Box(int(x0), int(y0), int(x1), int(y1)).clip(*size)


def _gestures(place: _Place) -> dict[str, tuple[Pair, Pair]]:
    """Upper and lower layer of every gesture at full strength."""
    u, v, half = place.u, place.v, place.half
    far = np.abs(u)
    arc = np.clip(1 - u**2, 0, 1) ** 0.75
    zero = np.zeros_like(u)
    # Bands along the lips move rigidly, then fade: otherwise lips look like rubber.
    upper_lip = np.exp(-((np.clip(-v - 0.16, 0, 9) / 0.22) ** 2))
    lower_lip = np.exp(-((np.clip(v - 0.20, 0, 9) / 0.25) ** 2))
    # Upwards the pull ends below the eyes, downwards it may reach the chin.
    height = np.where(v < 0, 0.42, 0.62)
    around = np.exp(-((np.clip(far - 0.9, 0, 9) / 0.75) ** 2)) * np.exp(-((v / height) ** 2))
    # Sideways pull, steep in the middle so that the lips' centre shortens too.
    pull = np.tanh(1.1 * u) / np.tanh(1.1) * half * around
    corners = around * np.clip(far, 0, 1) ** 2
    smile = place.mouth.smile
    upper_jaw, lower_jaw = _jaw(place)

    def both(side: Field, up: Field, down: Field) -> tuple[Pair, Pair]:
        side, up, down = (part * place.below_eyes for part in (side, up, down))
        return (side, up), (side, down)

    # A smiling source keeps its corners wide and high; speech must bring them in and down, or
    # every /a/ is a grin and every /o/ shows the teeth.
    jaw_in, jaw_drop = 0.09 + 0.18 * smile, 0.075 * smile
    round_in, round_drop = 0.27 + 0.09 * smile, 0.07 * smile
    fuller_up = 0.030 * smoothstep(0, 0.16, -v)  # lips pushed forward look thicker
    fuller_down = 0.035 * smoothstep(0, 0.20, v)
    return {
        "jaw": both(
            -jaw_in * pull,
            0.20 * upper_jaw - 0.035 * arc * upper_lip + jaw_drop * corners,
            JAW_TRAVEL * lower_jaw + jaw_drop * corners,
        ),
        "round": both(
            -round_in * pull,
            -(0.015 + fuller_up) * arc * upper_lip + round_drop * corners,
            (0.025 + fuller_down) * arc * lower_lip + round_drop * corners,
        ),
        "wide": both(
            0.10 * pull,
            -0.022 * corners + 0.008 * arc * upper_lip,
            -0.022 * corners,
        ),
        "close": both(
            zero,
            (0.012 + 0.016 * smoothstep(0, 0.16, -v)) * arc * upper_lip,
            -(0.022 + 0.018 * smoothstep(0, 0.20, v)) * arc * lower_lip,
        ),
        "tuck": both(zero, -0.050 * arc * upper_lip, -0.045 * arc * lower_lip),
        "teeth": both(zero, -0.005 * arc * upper_lip, 0.010 * arc * lower_lip),
    }


def _jaw(place: _Place) -> tuple[Field, Field]:
    """Downward share of the jaw's opening in the upper and the lower layer."""
    u, v, chin = place.u, place.v, place.mouth.chin
    far = np.abs(u)
    arc = np.clip(1 - u**2, 0, 1)
    dip = 0.30  # the corners follow the jaw by so much
    beside = np.exp(-(((far - 1) / 0.9) ** 2))
    along_seam = np.where(far < 1, dip + (1 - dip) * arc**0.75, dip * beside)
    to_chin = smoothstep(0, 0.75 * chin, v)
    cheek = np.exp(-((far / 2.3) ** 4)) * place.skin
    neck = np.exp(-((np.clip(v - 1.05 * chin, 0, 9) / 0.55) ** 2))
    lower = (along_seam * (1 - to_chin) + 0.95 * cheek * to_chin) * neck
    above_lower = along_seam * np.where(far < 1, 1, np.exp(-((v / 0.5) ** 2)))
    corner_dip = dip * np.where(far < 1, 1 - arc**0.6, beside)
    fade_up = np.exp(-((np.clip(-v, 0, 9) / 0.45) ** 2))
    upper = corner_dip * fade_up
    # Beside the mouth there is no cut: both layers must move alike there or the skin cracks.
    joint = np.where(v < 0, upper, lower)
    mouth_columns = smoothstep(1.25, 1.0, far)
    lower = np.where(v < 0, above_lower, lower) * mouth_columns + joint * (1 - mouth_columns)
    upper = np.where(v < 0, upper, corner_dip) * mouth_columns + joint * (1 - mouth_columns)
    return upper, lower


def _opening(place: _Place) -> list[Field]:
    """From the canonical, closed lips to the picture's own: (rows, columns, 2) pixels a layer."""
    upper_lip = np.exp(-((np.clip(-place.v - 0.16, 0, 9) / 0.22) ** 2))
    chin = np.exp(-((np.clip(place.v - 0.25, 0, 9) / 0.55) ** 2))
    zero = np.zeros_like(place.u)
    return [
        _to_picture(place.mouth, (zero, -place.upper_gap * upper_lip), 1),
        _to_picture(place.mouth, (zero, place.lower_gap * chin), 1),
    ]


def _edges(place: _Place) -> Field:
    """Signed distance inside the upper and lower layer: (2, rows, columns) pixels.

    Distances are smooth, so they can be moved and enlarged on the coarse grid and still give a
    sharp edge. Beside the mouth the lower layer is solid: nothing may shine through there.
    """
    v, beside = place.v, np.clip(np.abs(place.u) - 1.03, 0, 9)
    return np.stack([-v, v + 6.0 * beside]) * place.mouth.width


def _shades(place: _Place) -> dict[str, Field]:
    """Change of brightness by gesture: the pit at the corners, the crease under the lip."""
    far, v = np.abs(place.u), place.v

    def spot(u0: float, v0: float, su: float, sv: float) -> Field:
        return np.asarray(np.exp(-(((far - u0) / su) ** 2) - ((v - v0) / sv) ** 2))

    return {
        "jaw": -0.10 * spot(0, 0.30, 0.75, 0.08) - 0.07 * spot(1.45, 0.15, 0.30, 0.40),
        "round": -0.16 * spot(1.05, 0, 0.22, 0.10)
        - 0.14 * spot(0, 0.30, 0.55, 0.07)
        + 0.08 * spot(0, 0.12, 0.45, 0.05)
        + 0.04 * spot(0, -0.10, 0.45, 0.04),
        "wide": -0.08 * spot(1.30, -0.10, 0.16, 0.30) + 0.03 * spot(1.8, -0.35, 0.35, 0.25),
    }


def _near(place: _Place) -> Field:
    """Where a clip's mouth takes the skin along as it wanders over the face."""
    u, v = place.u, place.v
    beside = np.exp(-((np.clip(np.abs(u) - 1.2, 0, 9) / 0.8) ** 2))
    above = np.exp(-((np.clip(-v - 0.2, 0, 9) / 0.35) ** 2))
    below = np.exp(-((np.clip(v - place.mouth.chin, 0, 9) / 0.40) ** 2))
    weight = beside * above * below
    return np.stack([weight, weight * np.clip(u, -1.2, 1.2)], -1)


def _to_picture(mouth: Mouth, pair: Pair, scale: int) -> Field:
    """Mouth widths along the face axes -> (rows, columns, 2) along the picture's, grid steps."""
    field = np.stack(np.broadcast_arrays(*pair), -1) * (mouth.width / scale)
    return np.asarray(field @ mouth.axes.rotation)
