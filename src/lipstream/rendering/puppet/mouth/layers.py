"""The composition of one mouth: both layers warped, the interior between them, the skin shaded.

An example, with a mouth 100 pixels wide and the jaw at 0.5, down the middle column: the pixel 26
below the seam reads the picture 16 above itself, where the lower lip is; the one 8 below the seam
lies outside both layers (10 and 8 pixels by `edges`), so it shows the interior; the one 4 above
reads the upper lip 2 below itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.media.image import Box, Floats, Image
from lipstream.rendering.puppet.mouth.flow import MouthFlow, build_flow
from lipstream.rendering.puppet.mouth.geometry import MouthGeometry
from lipstream.rendering.puppet.mouth.interior import MouthInterior, paint_interior
from lipstream.rendering.puppet.mouth.moustache import measure_moustache
from lipstream.rendering.puppet.pose import Pose
from lipstream.rendering.puppet.warp import blend, enlarge_planes, sample, transform

UPPER, LOWER = 0, 1
EDGE_PER_BLUR = 2.6  # width of a layer's edge over the standard deviation of the picture's blur
SOFT_FROM = 8.0  # per jaw opening: from 0.12 on, edges have their whole softness
# The lower layer's lap, edges; of an open mouth, whose lip is cut a little short of the skin above
# it, and of lips that stood apart: where they meet they have no dark line, so that a little of the
# shaded inside stands for it.
OPEN_LAP, CREASE_LAP = -0.5, -0.6
# The light on the inside, from that in a gap of no height to 1 where SHADE_REACH mouth widths
# around are open by 1 / LIGHT_PER_GAP: a gap of a few pixels shows no white line.
DIM, SHADE_REACH, LIGHT_PER_GAP = 0.28, 0.10, 1.4
MIN_VISIBLE = 0.02  # opacity of the interior below which it is not painted


@dataclass(frozen=True, slots=True, eq=False)
class MouthModel:
    """One measured mouth with its flow and its interior."""

    mouth: MouthGeometry
    flow: MouthFlow
    interior: MouthInterior
    inner_corners: NDArray[np.float32]  # (4, 2) canonical pixels around all that opens
    feather: float  # pixels over which a layer's edge fades in an open mouth
    edge: float  # the same where lips touch
    lap: float  # pixels by which the lower layer reaches under the upper one where lips touch
    cut: tuple[int, int]  # rows of the flow's box between which either layer may be seen

    def layers(self, pose: Pose, opening: float, zoom: int = 1) -> MouthLayers:
        """Compute the layers of `pose` on the canonical grid.

        `opening` scales how far the source's own lips stand apart. Shifts are in pixels of a source
        picture `zoom` times as large as the one measured.
        """
        flow = self.flow
        shifts, edges = [], []
        for layer in (UPPER, LOWER):
            back = flow.inverse(pose.gestures, layer)
            before = flow.grid - back
            shift = back * np.float32(-flow.scale * zoom)
            if opening:
                shift += np.float32(opening * zoom) * sample(flow.opening[layer], before)
            shifts.append(shift.transpose(2, 0, 1))
            edges.append(sample(flow.edges[layer], before))
        # The skin takes its shading along; what is shaded most belongs to the lower layer.
        light = sample(flow.brightness(pose.gestures), before)
        return MouthLayers((shifts[UPPER], shifts[LOWER]), (edges[UPPER], edges[LOWER]), light)

    def join(
        self, upper: Image, lower: Image, layers: MouthLayers, pose: Pose, to_result: Floats
    ) -> Image:
        """Lay upper over lower over interior: (height, width, 3), all inputs of that size.

        `upper` and `lower` are the pictures warped by `layers`; `to_result` (2, 3) takes canonical
        pixels to those of the result. Draws into `lower`.
        """
        # Edges are as soft as the picture where the mouth is open, and sharp where lips touch. The
        # lower layer reaches a little under the upper one there, or touching lips would let a line
        # of the inside through.
        opened = min(SOFT_FROM * pose.jaw, 1.0)
        feather = self.edge + (self.feather - self.edge) * opened
        lap = self.lap * (1 - opened**2) + OPEN_LAP * self.edge * opened**2
        upper_alpha, lower_alpha = (
            np.clip(edge * np.float32(1 / feather) + np.float32(reach), 0, 1)
            for edge, reach in zip(layers.edges, (0.5, 0.5 + lap / feather), strict=True)
        )
        height, width = upper_alpha.shape
        corners = transform(to_result, self.inner_corners)
        (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
        inner = Box(int(x0), int(y0), int(x1) + 1, int(y1) + 1).clip(width, height)
        if inner.width > 0 and inner.height > 0:
            hidden = np.maximum(lower_alpha[inner.slices], upper_alpha[inner.slices])
            x, y, across, down = cv2.boundingRect((hidden < 1).view(np.uint8))
            inner = Box(x, y, x + across, y + down).moved(inner.left, inner.top)
            cover = np.ascontiguousarray(lower_alpha[inner.slices])
            visible = (1 - cover) * (1 - upper_alpha[inner.slices])
            if float(visible.max(initial=0)) >= MIN_VISIBLE:
                scene = self._lit_interior(visible, inner, pose, to_result)
                lower[inner.slices] = blend(lower[inner.slices], scene, cover)
        return blend(upper, lower, upper_alpha)

    def _lit_interior(self, visible: Floats, inner: Box, pose: Pose, to_result: Floats) -> Image:
        """Paint the inside of the mouth in the box `inner`, in the shade of the lips."""
        local = to_result.copy()
        local[:, 2] -= (inner.left, inner.top)
        scene = self.interior.paint(pose, local, (inner.width, inner.height))
        # Lips shade what lies behind them, the upper lip most: light comes from above.
        reach = max(3, int(SHADE_REACH * self.mouth.width) | 1)
        right, down = reach // 2 + self.mouth.axes.rotation[1] * (reach // 8)
        above = cv2.blur(
            visible,
            (reach, reach),
            anchor=(round(right), round(down)),
            borderType=cv2.BORDER_CONSTANT,
        )
        light = DIM + (1 - DIM) * np.clip(LIGHT_PER_GAP * above, 0, 1)
        return blend(scene, self.interior.dark((inner.width, inner.height)), light)


@dataclass(frozen=True, slots=True, eq=False)
class MouthLayers:
    """Both layers of one pose, on the canonical grid or on pixels."""

    shifts: tuple[Floats, Floats]  # (2, rows, columns) x and y to the source, pixels
    edges: tuple[Floats, Floats]  # (rows, columns) distance inside the layer, pixels
    light: Floats  # (rows, columns) factor on the brightness of the skin

    def read(
        self, grid: Floats, step: int, size: tuple[int, int], rows: tuple[int, int]
    ) -> MouthLayers:
        """Read the layers at (rows, columns, 2) grid coordinates and enlarge to `size` pixels.

        Only what is seen of them is computed: the shift of the upper layer above the last of the
        pixel `rows`, that of the lower one from the first on, edges between the two.
        """
        *upper, upper_edge = _sampled([*self.shifts[0], self.edges[0]], grid)
        *lower, lower_edge, light = _sampled([*self.shifts[1], self.edges[1], self.light], grid)
        (top, bottom), (width, height) = rows, size

        def fine(planes: Sequence[Floats], top: int, bottom: int) -> Floats:
            # One more row on either side: enlarging needs neighbours.
            first, last = max(top // step - 1, 0), bottom // step + 2
            part = [plane[first:last] for plane in planes]
            return enlarge_planes(part, step, (width, bottom - first * step))[
                :, top - first * step :
            ]

        shifts = (fine(upper, 0, bottom), fine(lower, top, height))
        edges = fine([upper_edge, lower_edge], top, bottom)
        return MouthLayers(shifts, (edges[0], edges[1]), fine([light], 0, height)[0])

    def shade(self, image: Image) -> Image:
        """Multiply the brightness of `image` by `light`, of its size."""
        factor = cv2.convertScaleAbs(self.light, alpha=128)
        return np.asarray(cv2.multiply(image, cv2.merge([factor] * 3), scale=1 / 128))


def _sampled(planes: Sequence[Floats], grid: Floats) -> Sequence[Floats]:
    """Read planes at (rows, columns, 2) grid coordinates. OpenCV reads them fastest as channels."""
    read = sample(np.asarray(cv2.merge(planes), np.float32), grid)
    return [np.asarray(plane, np.float32) for plane in cv2.split(read)]


def build_mouth_model(
    image: Image, points: Floats, mouth: MouthGeometry, moving: MouthGeometry | None = None
) -> MouthModel:
    """Compute flow and interior of `mouth`, measured in `image` with (468, 2) landmarks `points`.

    `moving`, if given, is the geometry that the flow is computed for instead.
    """
    left, right = mouth.columns[0] - 0.05 * mouth.width, mouth.columns[-1] + 0.05 * mouth.width
    top, bottom = mouth.seam.min() - 0.18 * mouth.width, mouth.seam.max() + 0.45 * mouth.width
    corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]])
    flow = build_flow(moving or mouth, points, (image.shape[1], image.shape[0]))
    hang = measure_moustache(image, points, mouth)
    if hang.any():
        # Strands of hair are the edge of the upper layer, wherever they hang in front of the mouth.
        across = mouth.axes.to_face(flow.to_picture(flow.grid))[..., 0]
        flow.edges[UPPER] += np.interp(across, mouth.columns, hang, 0, 0).astype(np.float32)
    interior = paint_interior(image, points, mouth, float(hang.mean()))
    edge = max(0.8, 0.008 * mouth.width)
    return MouthModel(
        mouth,
        flow,
        interior,
        mouth.axes.to_picture(corners).astype(np.float32),
        max(edge, min(EDGE_PER_BLUR * interior.blur, 0.12 * mouth.width)),
        edge,
        edge * (CREASE_LAP if mouth.is_open and not hang.any() else 1),
        _cut_rows(mouth, flow.box),
    )


def _cut_rows(mouth: MouthGeometry, box: Box) -> tuple[int, int]:
    """The rows that the line between the layers stays within, whatever the pose and the sway.

    The line runs on beyond the corners of the mouth to the sides of the box.
    """
    if mouth.axes.rotation[0, 0] < 0.5:
        return 0, box.height  # tilted by over 60 degrees: rows do not separate above from below
    left, right = mouth.half_widths
    line = np.array([[-3.2 * left, mouth.seam[0]], [3.2 * right, mouth.seam[-1]]])
    seam = np.stack([mouth.columns, mouth.seam], -1)
    rows = mouth.axes.to_picture(np.concatenate([line, seam]))[:, 1] - box.top
    top = int(rows.min() - 0.30 * mouth.width)
    bottom = int(rows.max() + 0.45 * mouth.width)
    return min(max(top, 0), box.height), min(max(bottom, 0), box.height)
