"""Sprites of the mouth's interior: cavity, teeth and tongue, in the colours of a face.

Teeth have anatomical proportions: a central incisor is 8.5 mm wide where the outer eye corners are
90 mm apart. Sprites are painted once per avatar, larger than they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.media.image import Floats, Image
from lipstream.rendering.puppet.mouth.geometry import MouthGeometry, smoothstep
from lipstream.rendering.puppet.warp import Doubles

SUPERSAMPLING = 3  # sprites are painted so many times larger, then shrunk: smooth edges
MIN_WIDTH = 110  # pixels; a smaller mouth gets sprites of this width, shrunk when drawn
SKIN_POINTS, LIP_POINTS = (50, 280, 205, 425, 151, 101, 330), (0, 17, 40, 270, 91, 321)

# Visible widths and heights of the teeth from the middle outwards, eye distances (90 mm), after
# mean crown sizes of adults; foreshortened sidewards.
UPPER_TEETH = (0.092, 0.070, 0.066, 0.050, 0.042, 0.034)
LOWER_TEETH = (0.058, 0.060, 0.058, 0.050, 0.040, 0.032)
UPPER_HEIGHTS = (0.105, 0.090, 0.100, 0.082, 0.074, 0.066)
UPPER_EDGE = 0.042  # eye distances below the seam: 4 mm of tooth show when lips part
LOWER_EDGE = -0.016  # the lower edges bite behind it and stand above the lower lip


@dataclass(frozen=True, slots=True, eq=False)
class SpriteCanvas:
    """The coordinates of a sprite: x across and y down from the seam's middle."""

    x: Doubles  # eye distances, supersampled
    y: Doubles  # likewise
    seam: Doubles  # y of the closed lips at each pixel: 0 in the middle
    eye: float  # eye distances per mouth width
    unit: float  # final sprite pixels per mouth width
    contrast: float  # of the lines between teeth, 0.15 in small pictures to 1
    to_canonical: Doubles

    @staticmethod
    def of(mouth: MouthGeometry) -> SpriteCanvas:
        unit = float(max(mouth.width, MIN_WIDTH))
        width, height, above = int(1.3 * unit), int(1.05 * unit), int(0.32 * unit)
        scale = mouth.width / unit
        middle = float(np.interp(0, mouth.columns, mouth.seam))
        origin = mouth.axes.to_picture(np.array([0.0, middle]))
        matrix = (mouth.axes.rotation * scale).T
        offset = origin - matrix @ np.array([width / 2, above])
        eye = mouth.width / mouth.eye_distance
        columns = (np.arange(width * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - width / 2
        rows = (np.arange(height * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - above
        x, y = np.meshgrid(columns / unit * eye, rows / unit * eye)
        seam = np.interp(x * mouth.eye_distance, mouth.columns, mouth.seam) - middle
        contrast = float(np.clip((mouth.eye_distance - 50) / 200, 0.15, 1))
        to_canonical = np.hstack([matrix, offset[:, None]])
        return SpriteCanvas(x, y, seam / mouth.eye_distance, eye, unit, contrast, to_canonical)

    def edge(self, distance: Doubles) -> Doubles:
        """Turn the signed distance inside a shape (eye distances) into coverage, 0 to 1."""
        softness = 0.8 * self.eye / self.unit
        return np.clip(distance / softness + 0.5, 0, 1)

    def shrink(self, painted: Doubles) -> NDArray[np.uint8]:
        """Reduce a painted sprite to its final size and to bytes."""
        height, width = (side // SUPERSAMPLING for side in painted.shape[:2])
        small = cv2.resize(painted, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(np.clip(small + 0.5, 0, 255), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class MouthColours:
    """The (3,) RGB colours of a mouth, 0 to 255, matched to the light on the face."""

    tooth: Doubles
    cavity: Doubles
    gum: Doubles
    tongue: Doubles

    @staticmethod
    def of(image: Image, points: Floats) -> MouthColours:
        skin = np.median([_pixel(image, points[i]) for i in SKIN_POINTS], 0)
        lip = np.median([_pixel(image, points[i]) for i in LIP_POINTS], 0)
        light = float(skin @ (0.299, 0.587, 0.114))
        # Teeth are about as bright as light skin and brighter than dark skin, with little colour.
        brightness = min(0.42 * 255 + 0.60 * light, 2.2 * light)
        tint = 0.85 * np.array([1.0, 0.965, 0.905]) + 0.15 * skin / max(skin.max(), 1.0)
        dim = light / 255
        return MouthColours(
            tooth=np.clip(brightness * tint, 0, 250),
            cavity=lip * (0.30, 0.17, 0.17) + np.array([16.0, 5.0, 6.0]) * dim,
            gum=0.62 * lip + 0.20 * np.array([200.0, 110.0, 110.0]) * dim,
            tongue=0.55 * lip * (1.0, 0.82, 0.84) + 0.30 * np.array([190.0, 95.0, 95.0]) * dim,
        )


def _pixel(image: Image, point: Floats) -> Doubles:
    """The mean colour around a point, which may lie outside of the picture."""
    x, y = (round(float(value)) for value in point[:2])
    height, width = image.shape[:2]
    patch = image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
    if patch.size == 0:
        patch = image[min(max(y, 0), height - 1), min(max(x, 0), width - 1)]
    return np.asarray(patch.reshape(-1, 3).mean(0), np.float64)


def paint_cavity(canvas: SpriteCanvas, colours: MouthColours) -> Doubles:
    depth = np.exp(-(((canvas.y - 0.06) / 0.10) ** 2) - (canvas.x / 0.30) ** 2)
    return np.asarray(colours.cavity * (1.15 - 0.55 * depth)[..., None])


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
    far = np.abs(canvas.x)
    # The biting edges follow the lips, a little flatter, and each tooth has round corners.
    shorter = np.array([0, 0.006, 0.002, 0.008, 0.010, 0.012])[tooth]
    bite = UPPER_EDGE + 0.9 * canvas.seam - 0.10 * far**2 - shorter
    corner = (0.010 + 0.004 * (tooth == 1)) * np.abs(across) ** 4
    pointed = 0.010 * (tooth == 2) * np.abs(across) ** 1.5
    bottom = bite - corner - pointed
    gum_line = bite - np.asarray(UPPER_HEIGHTS)[tooth] + 0.014 * (across**2)
    below_gum = np.clip((canvas.y - gum_line) / 0.01, 0, 1)
    along = np.clip((canvas.y - gum_line) / (bottom - gum_line), 0, 1)  # 0 gum .. 1 edge
    enamel = _enamel(across, half, along, canvas.contrast) * np.exp(-0.8 * (far / 0.27) ** 6)
    colour = colours.tooth * enamel[..., None] * _warmth(along)
    colour = colour * below_gum[..., None] + colours.gum * (1 - below_gum)[..., None]
    alpha = canvas.edge(bottom - canvas.y) * canvas.edge(row_end)
    return np.dstack([colour, 255 * alpha])


def paint_lower_teeth(canvas: SpriteCanvas, colours: MouthColours) -> Doubles:
    tooth, across, half, row_end = _teeth_row(canvas, LOWER_TEETH)
    far = np.abs(canvas.x)
    top = LOWER_EDGE + 0.8 * canvas.seam + 0.05 * far**2 + 0.005 * np.abs(across) ** 4
    along = np.clip(1 - (canvas.y - top) / 0.085, 0, 1)
    shade = 0.84 * np.exp(-0.8 * (far / 0.20) ** 4)
    enamel = shade * _enamel(across, half, along, canvas.contrast)
    gum = np.clip((canvas.y - top - 0.085) / 0.012, 0, 1)[..., None]
    crown = colours.tooth * enamel[..., None] * _warmth(along)
    colour = crown * (1 - gum) + 0.7 * colours.gum * gum
    fade = 1 - smoothstep(0.10, 0.16, canvas.y - canvas.seam)
    alpha = canvas.edge(canvas.y - top) * canvas.edge(row_end) * fade
    return np.dstack([colour, 255 * alpha])


def _enamel(across: Doubles, half: Doubles, along: Doubles, contrast: float) -> Doubles:
    """The brightness of a tooth: rounded sideways, a soft line between neighbours, a lit middle."""
    rounding = 1 - 0.12 * contrast * np.abs(across) ** 3
    line = np.exp(-(((1 - np.abs(across)) * half / 0.0035) ** 2))
    lit = 1 + 0.06 * np.exp(-(((across + 0.25) / 0.35) ** 2) - ((along - 0.55) / 0.25) ** 2)
    return np.asarray(rounding * (1 - 0.26 * contrast * line * (0.5 + 0.5 * along)) * lit)


def _warmth(along: Doubles) -> Doubles:
    """The tint along a tooth: yellower and darker at the gum, a little grey at the very edge."""
    gum = np.clip(1 - along / 0.6, 0, 1)[..., None]
    tip = np.clip((along - 0.88) / 0.12, 0, 1)[..., None]
    return np.asarray(1 - gum * (0.08, 0.11, 0.17) - tip * (0.05, 0.04, 0.02))


def paint_tongue(canvas: SpriteCanvas, colours: MouthColours) -> Doubles:
    x, y = canvas.x / 0.225, (canvas.y - 0.075) / 0.135
    inside = 1 - np.sqrt(x**2 + y**2)
    dome = np.clip(1 - x**2 * 0.7 - (y + 0.45) ** 2 * 0.6, 0.25, 1)
    groove = 1 - 0.16 * np.exp(-((canvas.x / 0.018) ** 2)) * np.clip(0.8 - y, 0, 1)
    gloss = 0.16 * np.exp(-(((np.abs(canvas.x) - 0.06) / 0.045) ** 2) - ((y + 0.62) / 0.16) ** 2)
    colour = colours.tongue * (dome * groove + gloss)[..., None]
    return np.dstack([colour, 255 * np.clip(inside * 5, 0, 1)])
