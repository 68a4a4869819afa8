"""Drawing one mouth: warp both layers, put the interior between them, shade the skin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.rendering.puppet.anatomy import Mouth, measure_mouth
from lipstream.rendering.puppet.flow import MouthFlow, build_flow
from lipstream.rendering.puppet.mouth import MouthInterior, paint_mouth
from lipstream.rendering.puppet.pose import Pose
from lipstream.rendering.puppet.warp import enlarge, sample
from lipstream.video import Box

if TYPE_CHECKING:
    from lipstream.video import Floats, Image

UPPER, LOWER = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Lips:
    """One measured mouth with its flow and its interior."""

    mouth: Mouth
    flow: MouthFlow
    interior: MouthInterior
    inner_box: NDArray[np.float32]  # (4, 2) canonical corners of where the interior can show
    feather: float  # pixels over which a layer's edge fades


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Both layers of one pose, (rows, columns, 4) float32 each, on a grid or on pixels.

    Channels: displacement to the source in pixels (x, y), distance inside the layer in pixels,
    brightness factor.
    """

    upper: Floats
    lower: Floats

    def read(self, where: Floats, step: int, size: tuple[int, int]) -> Layers:
        """The layers at grid coordinates (rows, columns, 2), enlarged to `size` pixels."""
        return Layers(
            enlarge(sample(self.upper, where), step, size),
            enlarge(sample(self.lower, where), step, size),
        )


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
    return Lips(
        mouth,
        build_flow(moving, points, (width, height)),
        paint_mouth(image, points, mouth),
        mouth.axes.to_picture(corners).astype(np.float32),
        max(0.8, 0.008 * mouth.width),
    )


def layers_of(lips: Lips, pose: Pose, opening: float) -> Layers:
    """The layers of `pose`; `opening` scales how far the source's own lips stand apart."""
    flow = lips.flow
    shade = flow.brightness(pose.gestures)
    result = []
    for layer in (UPPER, LOWER):
        back = flow.inverse(pose.gestures, layer)
        before = flow.grid - back
        moved = back * np.float32(-flow.scale)
        if opening:
            moved += np.float32(opening) * sample(flow.opening[layer], before)
        edge = sample(np.ascontiguousarray(flow.edges[..., layer]), before)
        result.append(np.dstack([moved, edge, sample(shade, before)]))
    return Layers(*result)


def draw_mouth(
    upper: Image, lower: Image, layers: Layers, lips: Lips, pose: Pose, placement: Floats
) -> Image:
    """Upper over lower over interior, shaded: (height, width, 3), all inputs of that size.

    `upper` and `lower` are the warped pictures, `layers` the layers enlarged to them; `placement`
    (2, 3) takes canonical picture pixels to pixels of the result. Draws into `lower`.
    """
    upper_alpha, lower_alpha = (
        np.clip(layer[..., 2] * np.float32(1 / lips.feather) + np.float32(0.5), 0, 1)
        for layer in (layers.upper, layers.lower)
    )
    height, width = upper_alpha.shape
    corners = lips.inner_box @ placement[:, :2].T + placement[:, 2]
    (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
    inner = Box(int(x0), int(y0), int(x1) + 1, int(y1) + 1).clip(width, height)
    if inner.width > 0 and inner.height > 0:
        _fill_interior(lower, upper_alpha, lower_alpha, inner, lips, pose, placement)
    drawn = cv2.blendLinear(upper, lower, upper_alpha, 1 - upper_alpha)
    if pose.is_rest:
        return np.asarray(drawn)
    light = np.where(upper_alpha > 0.5, layers.upper[..., 3], layers.lower[..., 3])
    factor = cv2.convertScaleAbs(light, alpha=128)
    return np.asarray(cv2.multiply(drawn, cv2.merge([factor] * 3), scale=1 / 128))


def _fill_interior(
    lower: Image,
    upper_alpha: Floats,
    lower_alpha: Floats,
    inner: Box,
    lips: Lips,
    pose: Pose,
    placement: Floats,
) -> None:
    """Show the inside of the mouth where neither lip covers it."""
    cover = np.ascontiguousarray(lower_alpha[inner.slices])
    seen = (1 - cover) * (1 - upper_alpha[inner.slices])
    if float(seen.max(initial=0)) < 0.02:
        return
    local = placement.copy()
    local[:, 2] -= (inner.left, inner.top)
    scene = lips.interior.paint(
        pose.jaw, pose.rounding, pose.tongue, local, (inner.width, inner.height)
    )
    # Lips shade what lies behind them, the upper lip most: light comes from above.
    reach = max(3, int(0.11 * lips.mouth.width) | 1)
    above = cv2.blur(seen, (reach, reach), anchor=(reach // 2, reach - 1 - reach // 4))
    light = np.clip(0.62 + 0.55 * above, 0, 1)
    lit = (scene * light[..., None]).astype(np.uint8)
    lower[inner.slices] = cv2.blendLinear(
        np.ascontiguousarray(lower[inner.slices]), lit, cover, 1 - cover
    )
