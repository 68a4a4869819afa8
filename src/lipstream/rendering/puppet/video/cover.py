"""The part of a face that the reference frame lends to the others, and the skin around it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Box, Floats
from lipstream.rendering.puppet.mouth.flow import MouthFlow, lower_face
from lipstream.rendering.puppet.mouth.geometry import MouthGeometry, smoothstep
from lipstream.rendering.puppet.video.alignment import ReferenceFace
from lipstream.rendering.puppet.warp import Doubles

LIP_MARGIN = 0.07  # mouth widths around the lips that are covered in full
MIN_ABOVE, MIN_BELOW = 0.15, 0.25  # mouth widths that are covered in any case
MAX_ASIDE = 1.7  # half mouth widths
FADE_UP, FADE_DOWN, FADE_ASIDE = 0.16, 0.22, 0.40  # mouth widths, half ones sidewards
PERCENT_COVERED = 98  # of the frames whose own lips are covered in full, in each direction


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """Weights from 0 to 1 on the grid of the reference's flow, each (rows, columns)."""

    upper: Floats  # rises from the nose to the lips
    lower: Floats  # falls from the lips to the chin and to the cheeks
    below: Floats  # 0 above the lip line, 1 below: the layer to which the frame's own skin belongs
    skin: Floats  # the skin around what is lent, by which the light is compared


def cover_lips(face: ReferenceFace, flow: MouthFlow, lips: Doubles) -> Cover:
    """Cover `lips`, (frames, points, 2) pixels of the reference, and the reference's own."""
    mouth, grid = face.mouth, flow.to_picture(flow.grid)
    u, v = _mouth_coordinates(mouth, grid)
    own = face.points[[*lm.OUTER_UPPER_LIP, *lm.OUTER_LOWER_LIP]]
    lip_u, lip_v = _mouth_coordinates(mouth, np.concatenate([lips, own[None]]))
    top = float(np.percentile(lip_v.min(1), 100 - PERCENT_COVERED)) - LIP_MARGIN
    bottom = float(np.percentile(lip_v.max(1), PERCENT_COVERED)) + LIP_MARGIN
    aside = float(np.percentile(np.abs(lip_u).max(1), PERCENT_COVERED)) + 2 * LIP_MARGIN
    nose = float(_mouth_coordinates(mouth, face.points[[lm.NOSE_BASE]])[1][0])
    # It may fade over the nose's base, which lies on the frame's own.
    top = max(min(top, -MIN_ABOVE), nose + 0.3 * FADE_UP)
    bottom = min(max(bottom, MIN_BELOW), mouth.chin - 0.5 * FADE_DOWN)
    aside = min(aside, MAX_ASIDE)
    on_face = smoothstep(0.02, 0.2, _inside_outline(face, grid) / mouth.width)
    upper = smoothstep(top - FADE_UP, top, v)
    below = smoothstep(bottom + FADE_DOWN, bottom, v)
    beside = smoothstep(aside + FADE_ASIDE, aside, np.abs(u))
    lower = below * beside * on_face * _inside_box(flow.box, grid, 0.1 * mouth.width)
    # A ring: outside of all lips, at the edge of what is lent and just around it.
    near = smoothstep(top - 3 * FADE_UP, top - FADE_UP, v) * smoothstep(mouth.chin, bottom, v)
    near = near * smoothstep(aside + 3 * FADE_ASIDE, aside, np.abs(u))
    ring = smoothstep(0.98, 0.6, upper * lower) * on_face * near
    fields = (upper, lower, smoothstep(-0.1, 0.1, v), ring)
    return Cover(*(part.astype(np.float32) for part in fields))


def chin_lift(mouth: MouthGeometry, flow: MouthFlow) -> Floats:
    """(rows, columns, 2) pixels of the reference by which a chin one mouth width lower moves.

    0 at the lips, whole at the chin, and gone at the edges of the flow's box.
    """
    u, v = _mouth_coordinates(mouth, flow.to_picture(flow.grid))
    lifted = smoothstep(0, 0.75 * mouth.chin, v) * lower_face(mouth, np.abs(u), v)
    field = (lifted * mouth.width)[..., None] * mouth.axes.rotation[1]
    return np.asarray(field, np.float32)


def _inside_outline(face: ReferenceFace, grid: Floats) -> Doubles:
    """(rows, columns) pixels inside the face's outline, negative outside."""
    outline = cv2.convexHull(face.points[list(lm.FACE_OVAL)].astype(np.float32))
    points = [(float(x), float(y)) for x, y in grid.reshape(-1, 2)]
    inside = [cv2.pointPolygonTest(outline, point, True) for point in points]
    return np.array(inside).reshape(grid.shape[:2])


def _inside_box(box: Box, points: Floats, margin: float) -> Doubles:
    """0 at the edges of `box`, where the reference's picture may end, to 1 `margin` inside."""
    x, y = np.moveaxis(points, -1, 0)
    nearest = np.minimum(
        np.minimum(x - box.left, box.right - 1 - x), np.minimum(y - box.top, box.bottom - 1 - y)
    )
    return smoothstep(0, margin, nearest)


def _mouth_coordinates(mouth: MouthGeometry, points: Doubles | Floats) -> tuple[Doubles, Doubles]:
    """Half mouth widths sidewards and mouth widths below the seam, as flow uses them."""
    x, y = np.moveaxis(mouth.axes.to_face(points), -1, 0)
    left, right = mouth.half_widths
    seam = np.interp(x, mouth.columns, mouth.seam)
    return x / np.where(x < 0, left, right), (y - seam) / mouth.width
