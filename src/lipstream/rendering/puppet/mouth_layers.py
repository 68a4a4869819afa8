"""Drawing one mouth: warp both layers, put the interior between them, shade the skin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.media.image import Box
from lipstream.rendering.puppet.mouth_geometry import Mouth, measure_mouth
from lipstream.rendering.puppet.mouth_interior import MouthInterior, paint_mouth
from lipstream.rendering.puppet.pose import Pose
from lipstream.rendering.puppet.warp import enlarge, sample
from lipstream.rendering.puppet.warp_fields import MouthFlow, build_flow

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

UPPER, LOWER = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Lips:
    """One measured mouth with its flow and its interior."""

    mouth: Mouth
    flow: MouthFlow
    interior: MouthInterior
    inner_box: NDArray[np.float32]  # (4, 2) canonical corners of where the interior can show
    feather: float  # pixels over which a layer's edge fades
    cut: tuple[int, int]  # rows of the flow's box between which either layer may be seen


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Both layers of one pose, on the canonical grid or on pixels."""

    shifts: tuple[Floats, Floats]  # (rows, columns, 2) to the source, pixels
    edges: tuple[Floats, Floats]  # (rows, columns) distance inside the layer, pixels
    light: Floats  # (rows, columns) factor on the brightness of the skin

    def read(
        self, where: Floats, step: int, size: tuple[int, int], rows: tuple[int, int]
    ) -> Layers:
        """The layers at grid coordinates (rows, columns, 2), enlarged to `size` pixels.

        Edges are wanted between the pixel `rows` alone.
        """
        upper = sample(_stacked(self.shifts[0], self.edges[0]), where)
        lower = sample(_stacked(self.shifts[1], self.edges[1], self.light), where)
        shifts = [
            enlarge(np.ascontiguousarray(layer[..., :2]), step, size) for layer in (upper, lower)
        ]
        # One more row on either side: enlarging needs neighbours.
        first, last = max(rows[0] // step - 1, 0), rows[1] // step + 2
        edges = [
            enlarge(np.ascontiguousarray(layer[first:last, :, 2]), step, (size[0], last * step))[
                rows[0] - first * step : rows[1] - first * step
            ]
            for layer in (upper, lower)
        ]
        light = enlarge(np.ascontiguousarray(lower[..., 3]), step, size)
        return Layers((shifts[0], shifts[1]), (edges[0], edges[1]), light)


def _stacked(shift: Floats, *others: Floats) -> Floats:
    """One field of all channels; OpenCV does it in half the time that numpy takes."""
    return np.asarray(cv2.merge([*cv2.split(shift), *others]), np.float32)


def prepare_lips(image: Image, points: Floats) -> Lips:
    """Measure, flow and paint for the face with (468, 2) landmarks `points`."""
    mouth = measure_mouth(image, points)
    return assemble_lips(image, points, mouth, mouth)


def assemble_lips(image: Image, points: Floats, mouth: Mouth, moving: Mouth) -> Lips:
    """The lips of `mouth` as the picture shows it, with the flow of `moving`."""
    height, width = image.shape[:2]
    left, right = mouth.columns[0] - 0.05 * mouth.width, mouth.columns[-1] + 0.05 * mouth.width
    top, bottom = mouth.seam.min() - 0.18 * mouth.width, mouth.seam.max() + 0.45 * mouth.width
    corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]])
    flow = build_flow(moving, points, (width, height))
    return Lips(
        mouth,
        flow,
        paint_mouth(image, points, mouth),
        mouth.axes.to_picture(corners).astype(np.float32),
        max(0.8, 0.008 * mouth.width),
        _cut(mouth, flow.box),
    )


def _cut(mouth: Mouth, box: Box) -> tuple[int, int]:
    """Rows that the line between the layers stays within, whatever the pose and the sway.

    The line runs on beyond the corners of the mouth to the sides of the box.
    """
    if mouth.axes.rotation[0, 0] < 0.5:
        return 0, box.height  # tilted by over 60 degrees: rows do not tell above from below
    left, right = mouth.half_widths
    ends = [mouth.seam[0], mouth.seam[-1]]
    line = np.array([[-3.2 * left, ends[0]], [3.2 * right, ends[1]]])
    seam = np.stack([mouth.columns, mouth.seam], -1)
    rows = mouth.axes.to_picture(np.concatenate([line, seam]))[:, 1] - box.top
    top = int(rows.min() - 0.30 * mouth.width)
    bottom = int(rows.max() + 0.45 * mouth.width)
    return min(max(top, 0), box.height), min(max(bottom, 0), box.height)


def layers_of(lips: Lips, pose: Pose, opening: float, zoom: int = 1) -> Layers:
    """The layers of `pose`; `opening` scales how far the source's own lips stand apart.

    Shifts are in pixels of a source picture `zoom` times as large as the one measured.
    """
    flow = lips.flow
    shifts, edges = [], []
    for layer in (UPPER, LOWER):
        back = flow.inverse(pose.gestures, layer)
        before = flow.grid - back
        shift = back * np.float32(-flow.scale * zoom)
        if opening:
            shift += np.float32(opening * zoom) * sample(flow.opening[layer], before)
        shifts.append(shift)
        edges.append(sample(flow.edges[layer], before))
    # The skin takes its shading along; what is shaded most belongs to the lower layer.
    light = sample(flow.brightness(pose.gestures), before)
    return Layers((shifts[UPPER], shifts[LOWER]), (edges[UPPER], edges[LOWER]), light)


def join_layers(
    upper: Image, lower: Image, edges: tuple[Floats, Floats], lips: Lips, pose: Pose, there: Floats
) -> Image:
    """Upper over lower over interior: (height, width, 3), all inputs of that size.

    `upper` and `lower` are the warped pictures, `edges` the distances inside their layers;
    `there` (2, 3) takes canonical picture pixels to pixels of the result. Draws into `lower`.
    """
    # The lower layer reaches a little under the upper one, or touching lips would let a line of
    # the inside through.
    upper_alpha, lower_alpha = (
        np.clip(edge * np.float32(1 / lips.feather) + np.float32(reach), 0, 1)
        for edge, reach in zip(edges, (0.5, 1.5), strict=True)
    )
    height, width = upper_alpha.shape
    corners = lips.inner_box @ there[:, :2].T + there[:, 2]
    (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
    inner = Box(int(x0), int(y0), int(x1) + 1, int(y1) + 1).clip(width, height)
    if inner.width > 0 and inner.height > 0:
        _fill_interior(lower, upper_alpha, lower_alpha, inner, lips, pose, there)
    return np.asarray(cv2.blendLinear(upper, lower, upper_alpha, 1 - upper_alpha))


def shade(image: Image, light: Floats) -> Image:
    """`image` with its brightness multiplied by `light` (height, width)."""
    factor = cv2.convertScaleAbs(light, alpha=128)
    return np.asarray(cv2.multiply(image, cv2.merge([factor] * 3), scale=1 / 128))


def _fill_interior(
    lower: Image,
    upper_alpha: Floats,
    lower_alpha: Floats,
    inner: Box,
    lips: Lips,
    pose: Pose,
    there: Floats,
) -> None:
    """Show the inside of the mouth where neither lip covers it."""
    cover = np.ascontiguousarray(lower_alpha[inner.slices])
    seen = (1 - cover) * (1 - upper_alpha[inner.slices])
    if float(seen.max(initial=0)) < 0.02:
        return
    local = there.copy()
    local[:, 2] -= (inner.left, inner.top)
    scene = lips.interior.paint(
        pose.jaw, pose.rounding, pose.tongue, local, (inner.width, inner.height)
    )
    # Lips shade what lies behind them, the upper lip most: light comes from above.
    reach = max(3, int(0.11 * lips.mouth.width) | 1)
    right, down = reach // 2 + lips.mouth.axes.rotation[1] * (reach // 4)
    above = cv2.blur(seen, (reach, reach), anchor=(round(right), round(down)))
    light = np.clip(0.60 + 0.66 * above, 0, 1)
    lit = (scene * light[..., None]).astype(np.uint8)
    lower[inner.slices] = cv2.blendLinear(
        np.ascontiguousarray(lower[inner.slices]), lit, cover, 1 - cover
    )
