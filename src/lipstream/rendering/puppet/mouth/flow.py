"""The flow of the skin in speech: two layers of dense fields on the canonical face.

The upper layer carries everything above the lip line, the lower layer everything below. Each
moves by a sum of a few precomputed fields, one per gesture, so a frame costs two small matrix
products. A single layer cannot open a mouth without tearing and folds when lips meet; two layers
with rigid bands along the lips keep the edges sharp.

Lengths are mouth widths (`v`, downwards from the seam) and half mouth widths (`u`, sidewards, the
two halves measured separately so that a turned head moves right). The constants were tuned by eye
on contact sheets, starting from 18 mm of opening on a 50 mm mouth.

An example, with a mouth 100 pixels wide and the jaw at 0.5: in the lower layer, the skin at the
middle of the lower lip (u = 0, v = 0.10) moves down by JAW_TRAVEL * 0.5 = 0.16 mouth widths, 16
pixels; in the upper layer, the middle of the upper lip rises by 1.7. To draw, the opposite is
needed: the source of the grid point at v = 0.26. `inverse` starts with the flow at that point, 15.6
pixels, reads the flow again so far above, and after two rounds ends 15.9 pixels above, at v = 0.10.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box, Floats
from lipstream.rendering.puppet.mouth.geometry import (
    NEUTRAL_WIDTH,
    MouthGeometry,
    smooth_seam,
    smoothstep,
)
from lipstream.rendering.puppet.warp import Doubles, bounding_box, pixel_grid, sample

GESTURES = ("jaw", "round", "wide", "close", "tuck", "teeth")
SHADES = ("jaw", "round", "wide")  # gestures that also change how the light falls
MAX_GRID_SIDE = 80  # points per side on which flow is computed; interpolated between
MAX_GAP = 0.36  # mouth widths between the lips at full jaw opening: 18 mm of 50 mm
JAW_TRAVEL = MAX_GAP - 0.04  # the lower jaw's share; the upper lip rises by the rest
DROPPED_GAPS = (0.15, 0.40)  # mouth widths of a picture's gap: the jaw hangs not at all, wholly
CHIN_SHARE = 0.65  # of the gap, by which the chin of a dropped jaw hangs
INVERSION_STEPS = 2  # of the fixed point g(x) = F(x - g(x)); fields are smooth, two suffice

Vectors = tuple[Doubles, Doubles]  # sidewards and downwards, mouth widths


@dataclass(frozen=True, slots=True, eq=False)
class MouthFlow:
    """The gesture fields around one mouth, sampled on a coarse grid over `box`."""

    box: Box  # of the canonical picture
    scale: int  # picture pixels per grid step
    grid: Floats  # (rows, columns, 2) grid coordinates of the grid itself
    gestures: Floats  # (2, len(GESTURES), rows * columns * 2): upper and lower layer, grid steps
    opening: Floats  # (2, rows, columns, 2): canonical lips -> the picture's own lips, pixels
    edges: Floats  # (2, rows, columns): distance inside the upper and the lower layer, pixels
    shades: Floats  # (len(SHADES), rows * columns): change of brightness at full gesture
    skin_follow: Floats  # (rows, columns, 2): 1 around the mouth fading to 0, and u times that

    @property
    def origin(self) -> Floats:
        """The (2,) picture pixels of the first grid point."""
        return np.array([self.box.left, self.box.top], np.float32) + (self.scale - 1) / 2

    def to_grid(self, points: Floats) -> Floats:
        """Turn (..., 2) pixels of the canonical picture into grid coordinates."""
        return np.asarray((points - self.origin) / self.scale, np.float32)

    def to_picture(self, grid: Floats) -> Floats:
        """Turn (..., 2) grid coordinates into pixels of the canonical picture."""
        return np.asarray(grid * self.scale + self.origin, np.float32)

    def inverse(self, weights: Floats, layer: int) -> Floats:
        """The (rows, columns, 2) grid steps back to the source of each point of the moved layer.

        `weights` are those of the GESTURES, about 0 to 1.
        """
        forward: Floats = (weights @ self.gestures[layer]).reshape(self.grid.shape)
        back = forward
        for _ in range(INVERSION_STEPS):
            back = sample(forward, self.grid - back)
        return back

    def brightness(self, weights: Floats) -> Floats:
        """The (rows, columns) factor around 1 by which the gestures shade the skin."""
        chosen = np.array([weights[GESTURES.index(name)] for name in SHADES], np.float32)
        return 1 + (chosen @ self.shades).reshape(self.grid.shape[:2])


def build_flow(mouth: MouthGeometry, points: Floats, size: tuple[int, int]) -> MouthFlow:
    """Compute the flow in a picture of `size` (width, height) with (468, 2) landmarks `points`."""
    # Speech can move the face from the nose to below the chin, from cheek to cheek.
    left, right = mouth.half_widths
    ends = -1.15 * mouth.width, (mouth.chin + 1.15) * mouth.width
    area = np.array([[x, y] for x in (-3.0 * left, 3.0 * right) for y in ends])
    box = bounding_box(mouth.axes.to_picture(area), size)
    scale = max(2, -(-max(box.width, box.height) // MAX_GRID_SIDE))
    picture = pixel_grid(box, scale)
    rows, columns = picture.shape[:2]
    face = _FaceGrid.of(mouth, points, picture, scale)
    gestures, shades = _gestures(face), _shades(face)
    layers = [
        np.stack([_to_picture(mouth, gestures[name][layer], scale).ravel() for name in GESTURES])
        for layer in (0, 1)
    ]
    fields = (
        pixel_grid(Box(0, 0, columns, rows)),
        np.stack(layers),
        np.stack(_opening(face)),
        _edges(face),
        np.stack([shades[name].ravel() for name in SHADES]),
        _skin_follow(face),
    )
    return MouthFlow(box, scale, *(field.astype(np.float32) for field in fields))


@dataclass(frozen=True, slots=True, eq=False)
class _FaceGrid:
    """The grid in the coordinates that the fields are written in; all (rows, columns)."""

    mouth: MouthGeometry
    u: Doubles  # half mouth widths sidewards, signed
    v: Doubles  # mouth widths below the seam
    bow: Doubles  # of the seam here, mouth widths below its smooth curve
    half: Doubles  # half width of this side in mouth widths
    turn: Doubles  # 1, up to 2 on the far half of a turned mouth
    upper_gap: Doubles  # of the picture's own mouth, mouth widths
    lower_gap: Doubles
    skin: Doubles  # 1 on the face, fading to 0 outside its outline
    below_eyes: Doubles  # 0 at the eyes, 1 well below: speech must never pull at them

    @staticmethod
    def of(mouth: MouthGeometry, points: Floats, picture: Doubles, step: int) -> _FaceGrid:
        x, y = np.moveaxis(mouth.axes.to_face(picture), -1, 0)
        left, right = mouth.half_widths
        half = np.where(x < 0, left, right)
        columns = mouth.columns
        seam = np.interp(x, columns, mouth.seam)
        inside = (x > columns[0]) & (x < columns[-1])
        bow = (seam - np.polyval(smooth_seam(mouth), x)) / mouth.width
        bow = np.clip(bow, -0.06, 0.06) * smoothstep(0.95, 0.6, np.abs(x) / half)
        upper_gap, lower_gap = (
            np.where(inside, np.interp(x, columns, gap), 0) / mouth.width
            for gap in (mouth.upper_gap, mouth.lower_gap)
        )
        outline = cv2.convexHull(points[list(lm.FACE_OVAL), :2].astype(np.float32))
        mask = np.zeros(x.shape, np.uint8)
        cv2.fillConvexPoly(mask, np.round((outline - picture[0, 0]) / step).astype(np.int32), 1)
        outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 3) * step / mouth.width
        skin = np.exp(-((outside / 0.30) ** 2)).astype(np.float64)
        lids = mouth.axes.to_face(points[list(lm.RIGHT_LOWER_LID + lm.LEFT_LOWER_LID), :2])[:, 1]
        below_eyes = smoothstep(lids.max(), lids.max() + 0.35 * mouth.width, y)
        u, v, share = x / half, (y - seam) / mouth.width, half / mouth.width
        turn = np.clip(0.5 * (left + right) / half, 1, 2)
        return _FaceGrid(mouth, u, v, bow, share, turn, upper_gap, lower_gap, skin, below_eyes)


def _fall_off(distance: Doubles, start: float, width: float) -> Doubles:
    """Fade from 1 below `start` to 0 as half a Gaussian; e.g. 0.37 at `start` + `width`."""
    return np.exp(-((np.clip(distance - start, 0, 9) / width) ** 2))


def _gestures(face: _FaceGrid) -> dict[str, tuple[Vectors, Vectors]]:
    """The upper and lower layer of every gesture at full weight."""
    u, v, half = face.u, face.v, face.half
    far = np.abs(u)
    arc = np.clip(1 - u**2, 0, 1) ** 0.75
    zero = np.zeros_like(u)
    # Bands along the lips move rigidly, then fade: otherwise lips look like rubber.
    upper_lip, lower_lip = _fall_off(-v, 0.16, 0.22), _fall_off(v, 0.20, 0.25)
    # Upwards the pull ends below the eyes, downwards it may reach the chin.
    height = np.where(v < 0, 0.42, 0.62)
    around = _fall_off(far, 0.9, 0.75) * np.exp(-((v / height) ** 2))
    # Sideways pull, steep in the middle so that the lips' centre shortens too.
    pull = np.tanh(1.1 * u) / np.tanh(1.1) * half * around
    corners = around * np.clip(far, 0, 1) ** 2
    smile = face.mouth.smile
    upper_jaw, lower_jaw = _jaw(face)

    def both(side: Doubles, up: Doubles, down: Doubles) -> tuple[Vectors, Vectors]:
        side, up, down = (part * face.below_eyes for part in (side, up, down))
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
            JAW_TRAVEL * upper_jaw - 0.035 * arc * upper_lip + jaw_drop * corners,
            # An open mouth is round below, however the closed lips were bent.
            JAW_TRAVEL * lower_jaw + jaw_drop * corners - 1.4 * face.bow * lower_lip,
        ),
        "round": both(
            -round_in * pull,
            -(0.015 + fuller_up) * arc * upper_lip + round_drop * corners,
            (0.025 + fuller_down) * arc * lower_lip + round_drop * corners,
        ),
        "wide": both(0.10 * pull, -0.022 * corners + 0.008 * arc * upper_lip, -0.022 * corners),
        "close": both(
            zero,
            (0.012 + 0.016 * smoothstep(0, 0.16, -v)) * arc * upper_lip,
            -(0.022 + 0.018 * smoothstep(0, 0.20, v)) * arc * lower_lip,
        ),
        "tuck": both(zero, -0.050 * arc * upper_lip, -0.045 * arc * lower_lip),
        "teeth": both(zero, -0.005 * arc * upper_lip, 0.010 * arc * lower_lip),
    }


def _jaw(face: _FaceGrid) -> tuple[Doubles, Doubles]:
    """The downward share of the jaw's opening in the upper and the lower layer."""
    u, v, chin = face.u, face.v, face.mouth.chin
    far = np.abs(u)
    arc = np.clip(1 - u**2, 0, 1)
    dip = 0.30  # the corners follow the jaw by so much
    beside = np.exp(-(((far - 1) / 0.9) ** 2))
    # The far half of a turned mouth is short: it closes in a wedge, not in a wall.
    along_seam = np.where(far < 1, dip + (1 - dip) * arc ** (0.9 * face.turn), dip * beside)
    to_chin = smoothstep(0, 0.75 * chin, v)
    cheek = np.exp(-((far / 2.3) ** 4)) * face.skin
    neck = _fall_off(v, 1.05 * chin, 0.55)
    lower = (along_seam * (1 - to_chin) + 0.95 * cheek * to_chin) * neck
    above_lower = along_seam * np.where(far < 1, 1, np.exp(-((v / 0.5) ** 2)))
    corner_dip = dip * np.where(far < 1, 1 - arc ** (0.8 * face.turn), beside)
    upper = corner_dip * _fall_off(-v, 0, 0.45)
    # Beside the mouth there is no cut: both layers must move alike there or the skin cracks.
    joint = np.where(v < 0, upper, lower)
    mouth_columns = smoothstep(1.25, 1.0, far)
    lower = np.where(v < 0, above_lower, lower) * mouth_columns + joint * (1 - mouth_columns)
    upper = np.where(v < 0, upper, corner_dip) * mouth_columns + joint * (1 - mouth_columns)
    return upper, lower


def _opening(face: _FaceGrid) -> list[Doubles]:
    """The (rows, columns, 2) pixels per layer from the canonical, closed lips to the picture's."""
    upper_lip, lower_lip = _fall_off(-face.v, 0.16, 0.22), _fall_off(face.v, 0.25, 0.55)
    gap = float((face.upper_gap + face.lower_gap).max())
    dropped = float(smoothstep(*DROPPED_GAPS, gap))
    to_chin = smoothstep(0.2, 0.75 * face.mouth.chin, face.v)
    jaw = face.lower_gap * (1 - to_chin) + CHIN_SHARE * gap * to_chin * _chin(face)
    lower = face.lower_gap * lower_lip * (1 - dropped) + jaw * dropped
    downwards = (-face.upper_gap * upper_lip, lower)
    return [_to_picture(face.mouth, (np.zeros_like(face.u), down), 1) for down in downwards]


def _chin(face: _FaceGrid) -> Doubles:
    """(rows, columns) 1 at the chin to 0 beside the face and far down the neck."""
    mouth = face.mouth
    # A round mouth is narrow, its chin is not.
    far = np.abs(face.u) * min(mouth.width / (NEUTRAL_WIDTH * mouth.eye_distance), 1)
    return lower_face(mouth, far, face.v)


def lower_face(mouth: MouthGeometry, far: Doubles, v: Doubles) -> Doubles:
    """1 from cheek to cheek and down to the chin, to 0 beside the face and far down the neck.

    The neck is drawn out over more than a mouth width, or it would fold where the jaw is lifted by
    half of one. `far` are half mouth widths from the middle, `v` mouth widths below the seam.
    """
    across = np.exp(-((far / 2.3) ** 4)) * smoothstep(2.9, 2.2, far)
    return across * smoothstep(mouth.chin + 1.1, 1.05 * mouth.chin, v)


def _edges(face: _FaceGrid) -> Doubles:
    """The (2, rows, columns) signed distance inside the upper and the lower layer, pixels.

    Distances are smooth, so they can be moved and enlarged on the coarse grid and still give a
    sharp edge. Beside the mouth the lower layer is solid: nothing may shine through there.
    """
    # Lips that stood apart meet in the corner; closed ones are cut a little further.
    corner = 1.01 if face.mouth.is_open else 1.10
    v, beside = face.v, np.clip(np.abs(face.u) - corner, 0, 9)
    return np.stack([-v, v + 6.0 * beside]) * face.mouth.width


def _shades(face: _FaceGrid) -> dict[str, Doubles]:
    """The change of brightness by gesture: the pit at the corners, the crease under the lip."""
    far, v = np.abs(face.u), face.v

    def spot(u0: float, v0: float, su: float, sv: float) -> Doubles:
        return np.asarray(np.exp(-(((far - u0) / su) ** 2) - ((v - v0) / sv) ** 2))

    return {
        "jaw": -0.10 * spot(0, 0.30, 0.75, 0.08) - 0.07 * spot(1.45, 0.15, 0.30, 0.40),
        "round": -0.16 * spot(1.05, 0, 0.22, 0.10)
        - 0.14 * spot(0, 0.30, 0.55, 0.07)
        + 0.08 * spot(0, 0.12, 0.45, 0.05)
        + 0.04 * spot(0, -0.10, 0.45, 0.04),
        "wide": -0.08 * spot(1.30, -0.10, 0.16, 0.30) + 0.03 * spot(1.8, -0.35, 0.35, 0.25),
    }


def _skin_follow(face: _FaceGrid) -> Doubles:
    """The share by which skin follows the mouth of a clip as it shifts and stretches."""
    u, v = face.u, face.v
    above, below = _fall_off(-v, 0.2, 0.35), _fall_off(v, face.mouth.chin, 0.40)
    weight = _fall_off(np.abs(u), 1.2, 0.8) * above * below
    return np.stack([weight, weight * np.clip(u, -1.2, 1.2)], -1)


def _to_picture(mouth: MouthGeometry, vectors: Vectors, scale: int) -> Doubles:
    """Turn mouth widths along the face axes into (rows, columns, 2) picture vectors, grid steps."""
    field = np.stack(np.broadcast_arrays(*vectors), -1) * (mouth.width / scale)
    return np.asarray(field @ mouth.axes.rotation)
