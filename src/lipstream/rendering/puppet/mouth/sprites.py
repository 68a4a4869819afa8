"""Sprites of the mouth's interior: cavity, teeth and tongue, in the colours of a face.

Teeth have anatomical proportions: a central incisor is 8.5 mm wide where the outer eye corners are
90 mm apart. Sprites are painted once per avatar, larger than they are shown, and take the sharpness
and the grain of the picture when they are shrunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.face import landmarks as lm
from lipstream.media.image import Floats
from lipstream.rendering.puppet.mouth.colours import MouthColours
from lipstream.rendering.puppet.mouth.geometry import (
    NEUTRAL_WIDTH,
    MouthGeometry,
    smooth_seam,
    smoothstep,
)
from lipstream.rendering.puppet.mouth.texture import Texture
from lipstream.rendering.puppet.warp import Doubles

MIN_PAINTED = 230  # pixels per mouth width while painting, to be shrunk: smooth edges
MIN_SUPERSAMPLING = 3

# Visible widths and heights of the teeth from the middle outwards, eye distances (90 mm), after
# mean crown sizes of adults; foreshortened sidewards.
UPPER_TEETH = (0.092, 0.070, 0.066, 0.050, 0.042, 0.034)
LOWER_TEETH = (0.058, 0.060, 0.058, 0.050, 0.040, 0.032)
UPPER_HEIGHTS = (0.105, 0.090, 0.100, 0.082, 0.074, 0.066)
UPPER_EDGE = 0.042  # eye distances below the seam: 4 mm of tooth show when lips part
LOWER_EDGE = -0.016  # the lower edges bite behind it and stand above the lower lip
# Lines between teeth show from so many pixels per incisor on, and are full from the second.
FAINT_INCISOR, CLEAR_INCISOR = 6.0, 26.0
# A child's nose to chin is short against its eyes: 0.55 to 0.58 of the eye distance in the drawn
# and painted children tried, 0.63 to 0.8 in adults. Milk teeth are about a fifth smaller.
CHILD_CHIN, ADULT_CHIN, CHILD_TEETH = 0.55, 0.62, 0.80
MAX_FORESHORTENING = 1.6  # of the far half of a turned mouth


@dataclass(frozen=True, slots=True, eq=False)
class SpriteCanvas:
    """The coordinates of a sprite: x across and y down from the seam's middle.

    In eye distances of an adult's face seen from the front: a child's mouth is more of them wide
    than its picture tells, the far half of a turned one as many as the near half.
    """

    x: Doubles  # supersampled
    y: Doubles  # likewise
    line: Doubles  # y of the smooth curve along the closed lips that a row of teeth follows
    reach: float  # x of the corners of the mouth
    softness: float  # of a painted edge: about a pixel of the sprite
    supersampling: int
    contrast: float  # of the lines between teeth, 0 in small pictures to 1
    unit: float  # final sprite pixels per mouth width
    to_canonical: Doubles

    @staticmethod
    def of(mouth: MouthGeometry, points: Floats) -> SpriteCanvas:
        """Lay out the sprites of `mouth`, on a face with (468, 2) landmarks `points`."""
        unit = max(mouth.width, 8.0)
        width, height, above = int(1.3 * unit) + 2, int(1.05 * unit) + 2, int(0.32 * unit) + 1
        scale = mouth.width / unit
        middle = float(np.interp(0, mouth.columns, mouth.seam))
        origin = mouth.axes.to_picture(np.array([0.0, middle]))
        matrix = (mouth.axes.rotation * scale).T
        offset = origin - matrix @ np.array([width / 2, above])
        finer = max(MIN_SUPERSAMPLING, -(-MIN_PAINTED // int(unit)))
        columns = (np.arange(width * finer) + 0.5) / finer - width / 2
        rows = (np.arange(height * finer) + 0.5) / finer - above
        tooth = mouth.eye_distance * _tooth_size(mouth, points)  # pixels per unit of x and y
        across, y = np.meshgrid(columns * scale, rows * scale / tooth)
        left, right = mouth.half_widths
        mean = (left + right) / 2
        stretch = np.where(across < 0, mean / max(left, 1e-3), mean / max(right, 1e-3))
        stretch = np.clip(stretch, 1 / MAX_FORESHORTENING, MAX_FORESHORTENING)
        contrast = smoothstep(FAINT_INCISOR, CLEAR_INCISOR, UPPER_TEETH[0] * tooth)
        return SpriteCanvas(
            across * stretch / tooth,
            y,
            _row_line(mouth, across, middle) / tooth,
            mean / tooth,
            0.8 * scale / tooth,
            finer,
            float(contrast),
            unit,
            np.hstack([matrix, offset[:, None]]),
        )

    def edge(self, distance: Doubles) -> Doubles:
        """Turn the signed distance inside a shape into coverage, 0 to 1."""
        return np.clip(distance / self.softness + 0.5, 0, 1)

    def finish(self, painted: Doubles, texture: Texture) -> NDArray[np.uint8]:
        """Reduce a painted RGB or RGBA sprite to its final size, with the picture's texture."""
        height, width = (side // self.supersampling for side in painted.shape[:2])
        alpha = painted[..., 3:] / 255 if painted.shape[2] == 4 else np.ones_like(painted[..., :1])
        layers = np.dstack([painted[..., :3] * alpha, alpha]).astype(np.float32)
        small = cv2.resize(layers, (width, height), interpolation=cv2.INTER_AREA)
        # Drawing reads between pixels, which blurs by about half a pixel.
        blur = np.sqrt(max(texture.blur**2 - 0.5**2, 0.0))
        if blur > 0.1:
            small = cv2.GaussianBlur(small, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)
        colour = texture.add_grain(
            (small[..., :3] / np.maximum(small[..., 3:], 1e-3)).astype(np.float32)
        )
        parts = [colour] if painted.shape[2] == 3 else [colour, 255 * small[..., 3]]
        return np.asarray(np.clip(np.dstack(parts) + 0.5, 0, 255), np.uint8)


def _tooth_size(mouth: MouthGeometry, points: Floats) -> float:
    """The size of the teeth against the mean adult's of that eye distance, 0.72 to 1."""
    chin = float(np.linalg.norm(points[lm.NOSE_BASE, :2] - points[lm.CHIN, :2]))
    grown = float(smoothstep(CHILD_CHIN, ADULT_CHIN, chin / mouth.eye_distance))
    # Small mouths have smaller teeth, or a few would fill them from corner to corner.
    narrow = np.clip(mouth.width / mouth.eye_distance / NEUTRAL_WIDTH, 0.85, 1)
    return float(max(CHILD_TEETH + (1 - CHILD_TEETH) * grown, 0.72) * narrow)


def _row_line(mouth: MouthGeometry, across: Doubles, middle: float) -> Doubles:
    """The curve that the teeth follow at `across`, from the seam's y of `middle`, pixels.

    Teeth stand in an arch whatever the lips do: the bow of the upper lip and drooping corners are
    left out.
    """
    bend, tilt, height = smooth_seam(mouth)
    bend = 0.9 * np.clip(bend * mouth.eye_distance, -1.4, 0.15) / mouth.eye_distance
    height = np.clip(height - middle, -0.02 * mouth.width, 0.02 * mouth.width)
    return np.asarray(np.polyval([bend, tilt, height], across))


def paint_cavity(canvas: SpriteCanvas, colours: MouthColours) -> Doubles:
    depth = np.exp(-(((canvas.y - 0.06) / 0.12) ** 2) - (canvas.x / (0.8 * canvas.reach)) ** 2)
    # Towards the corners the cheeks close in: no dark wedges there.
    cheek = smoothstep(0.55, 1.0, np.abs(canvas.x) / canvas.reach)[..., None]
    dark = colours.cavity * (1.25 - 0.50 * depth)[..., None]
    return np.asarray(dark * (1 - cheek) + 0.65 * colours.gum * cheek)


def _teeth_row(
    canvas: SpriteCanvas, widths: tuple[float, ...]
) -> tuple[NDArray[np.int64], Doubles, Doubles, Doubles]:
    """The tooth at every pixel, position on it -1 to 1, its half width, distance inside the row."""
    x = np.abs(canvas.x)
    borders = np.cumsum((0.0, *widths))
    tooth = np.clip(np.searchsorted(borders, x, side="right") - 1, 0, len(widths) - 1)
    half = np.asarray(widths)[tooth] / 2
    middle = borders[tooth] + half
    return tooth, (x - middle) / half, half, (borders[-1] - x).astype(np.float64)


def paint_upper_teeth(canvas: SpriteCanvas, colours: MouthColours) -> Doubles:
    tooth, across, half, row_end = _teeth_row(canvas, UPPER_TEETH)
    far, detail = np.abs(canvas.x), canvas.contrast
    # The biting edges stand in an arch; where pixels allow, each tooth has its own round corners.
    shorter = detail * np.array([0, 0.006, 0.002, 0.008, 0.010, 0.012])[tooth]
    arch = UPPER_EDGE + canvas.line - 0.25 * far**2
    side, square = np.abs(across), across**2  # numpy takes long for other powers
    corner = detail * (0.008 + 0.004 * (tooth == 1)) * square**2
    pointed = detail * 0.006 * (tooth == 2) * side * np.sqrt(side)
    bottom = arch - shorter - corner - pointed
    gum_line = arch - np.asarray(UPPER_HEIGHTS)[tooth] + 0.014 * detail * square
    below_gum = np.clip((canvas.y - gum_line) / 0.01, 0, 1)
    along = np.clip((canvas.y - gum_line) / (bottom - gum_line), 0, 1)  # 0 gum .. 1 edge
    enamel = _enamel(across, half, along, detail) * _behind_lips(canvas, 0.62)
    colour = colours.tooth * enamel[..., None] * _warmth(along)
    colour = colour * below_gum[..., None] + colours.gum * (1 - below_gum)[..., None]
    alpha = canvas.edge(bottom - canvas.y) * canvas.edge(row_end)
    alpha *= 1 - smoothstep(0.70, 0.98, far / canvas.reach)
    return np.dstack([colour, 255 * alpha])


def paint_lower_teeth(canvas: SpriteCanvas, colours: MouthColours) -> Doubles:
    tooth, across, half, row_end = _teeth_row(canvas, LOWER_TEETH)
    far, detail = np.abs(canvas.x), canvas.contrast
    top = LOWER_EDGE + 0.8 * canvas.line + 0.05 * far**2 + 0.005 * detail * (across**2) ** 2
    along = np.clip(1 - (canvas.y - top) / 0.085, 0, 1)
    enamel = 0.74 * _enamel(across, half, along, detail) * _behind_lips(canvas, 0.45)
    gum = np.clip((canvas.y - top - 0.085) / 0.012, 0, 1)[..., None]
    crown = colours.tooth * enamel[..., None] * _warmth(along)
    colour = crown * (1 - gum) + 0.7 * colours.gum * gum
    fade = 1 - smoothstep(0.10, 0.16, canvas.y - canvas.line)
    alpha = canvas.edge(canvas.y - top) * canvas.edge(row_end) * fade
    alpha *= 1 - smoothstep(0.55, 0.85, far / canvas.reach)
    return np.dstack([colour, 255 * alpha])


def _behind_lips(canvas: SpriteCanvas, start: float) -> Doubles:
    """The light on a row: it recedes into the shade of the cheeks from `start` of the way out."""
    return 1 - 0.55 * smoothstep(start - 0.35, 1.0, np.abs(canvas.x) / canvas.reach)


def _enamel(across: Doubles, half: Doubles, along: Doubles, contrast: float) -> Doubles:
    """The brightness of a tooth: rounded sideways, a soft line between neighbours, a lit middle."""
    rounding = 1 - 0.10 * contrast * np.abs(across) * across**2
    line = np.exp(-(((1 - np.abs(across)) * half / 0.0035) ** 2))
    lit = 0.95 + 0.05 * np.exp(-(((across + 0.25) / 0.35) ** 2) - ((along - 0.55) / 0.25) ** 2)
    return np.asarray(rounding * (1 - 0.24 * contrast * line * (0.5 + 0.5 * along)) * lit)


def _warmth(along: Doubles) -> Doubles:
    """The shade along a tooth: darker at the gum, a little at the very edge."""
    gum = np.clip(1 - along / 0.6, 0, 1)[..., None]
    tip = np.clip((along - 0.88) / 0.12, 0, 1)[..., None]
    return np.asarray(1 - gum * 0.11 - tip * 0.04)


def paint_tongue(canvas: SpriteCanvas, colours: MouthColours) -> Doubles:
    x, y = canvas.x / (0.80 * canvas.reach), (canvas.y - 0.075) / 0.135
    inside = 1 - np.sqrt(x**2 + y**2)
    dome = np.clip(1 - x**2 * 0.6 - (y - 0.15) ** 2 * 0.55, 0.25, 1)
    groove = 1 - 0.12 * np.exp(-((canvas.x / 0.018) ** 2)) * np.clip(0.8 - y, 0, 1)
    gloss = 0.10 * np.exp(-(((np.abs(canvas.x) - 0.06) / 0.045) ** 2) - ((y + 0.62) / 0.16) ** 2)
    colour = colours.tongue * (dome * groove + gloss)[..., None]
    return np.dstack([colour, 255 * smoothstep(0, 0.35, inside)])
