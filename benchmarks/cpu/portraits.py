"""Further test portraits, drawn from the one public-domain photograph in `examples`.

One face is too few to judge a renderer by, and photographs of other people come with rights of
their own. So the same face is given a beard, spectacles, or a tilt. Everything is deterministic.

    python -m benchmarks.portraits FOLDER      # writes all of them as PNG
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.landmarks import JAW_LINE
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.face.landmarks import (
    CHIN,
    EYES,
    FACE_OVAL,
    LEFT_EDGE,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_BASE,
    OUTER_LOWER_LIP,
    OUTER_UPPER_LIP,
    RIGHT_EDGE,
    eye_distance,
)
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

EXAMPLES = Path(__file__).parents[2] / "examples"
DRAWN = 4  # details are drawn so many times larger and averaged down
TILT = 15.0  # degrees
HAIR = (92, 66, 44)  # RGB of the beard: a shade darker than the photograph's hair
FRAME = (38, 30, 30)  # RGB of the spectacles


def smiling() -> Image:
    """(512, 512, 3) uint8 RGB: the photograph, with an open smile."""
    return read_picture(EXAMPLES / "portrait.png", AvatarConfig())


def closed() -> Image:
    """The same with the mouth closed."""
    return read_picture(EXAMPLES / "portrait_closed.png", AvatarConfig())


def tilted() -> Image:
    """The closed mouth, turned clockwise about the face; mirrored into the corners."""
    image = closed()
    centre = _points(image).mean(axis=0)
    matrix = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), -TILT, 1.0)
    size = (image.shape[1], image.shape[0])
    turned = cv2.warpAffine(
        image, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(turned, np.uint8)


def bearded() -> Image:
    """The closed mouth with a short full beard and a moustache; the lips are left free."""
    image = closed()
    points = _points(image)
    unit = eye_distance(points)
    density = _beard(image.shape[:2], points, unit)
    shade = np.asarray(cv2.GaussianBlur(density, (0, 0), unit * 0.012), np.float32)[..., None]
    shade *= np.float32(0.62)
    # The skin's own light stays visible through the shade, so the jaw keeps its form.
    light = image.astype(np.float32).mean(axis=2, keepdims=True) / 165
    grown = image * (1 - shade) + np.array(HAIR, np.float32) * light * shade
    return _strokes(np.asarray(grown, np.float32), density, points, unit)


def spectacled() -> Image:
    """The closed mouth with dark, thin-rimmed spectacles and slightly tinted lenses."""
    image = closed()
    points = _points(image)
    unit = eye_distance(points)
    lenses = [_lens(points, lids, unit) for lids in EYES]
    result = image.astype(np.float32)
    glass = sum(_cover(image.shape[:2], outline, fill=True) for outline in lenses)
    assert isinstance(glass, np.ndarray)
    tint = glass[..., None] * np.float32(0.12)
    result = result * (1 - tint) + np.array((70, 84, 92), np.float32) * tint
    rim = np.zeros(image.shape[:2], np.float32)
    for outline in lenses:
        rim = np.maximum(rim, _cover(image.shape[:2], outline, width=unit * 0.022))
    for line in _bridge_and_arms(points, lenses):
        rim = np.maximum(rim, _cover(image.shape[:2], line, width=unit * 0.02, closed=False))
    # The rim throws a soft shadow downwards before it is drawn itself.
    shadow = cv2.GaussianBlur(np.roll(rim, round(unit * 0.03), axis=0), (0, 0), unit * 0.02)
    result *= 1 - 0.22 * shadow[..., None]
    result = result * (1 - rim[..., None]) + np.array(FRAME, np.float32) * rim[..., None]
    result += 60 * _gleam(image.shape[:2], lenses, unit)[..., None]
    return np.asarray(np.clip(result + 0.5, 0, 255), np.uint8)


PORTRAITS: dict[str, Callable[[], Image]] = {
    "smiling": smiling,
    "closed": closed,
    "tilted": tilted,
    "bearded": bearded,
    "spectacled": spectacled,
}


def _points(image: Image) -> Floats:
    return FaceFinder().find(image)[0].landmarks[:, :2]


def _beard(shape: tuple[int, ...], points: Floats, unit: float) -> Floats:
    """The density of hair, 0 to 1: cheeks below the mouth corners, chin, upper lip."""
    jaw = points[list(JAW_LINE)]
    centre = points.mean(axis=0)
    outward = jaw + (jaw - centre) * 0.01
    right, left = points[MOUTH_RIGHT], points[MOUTH_LEFT]
    nose = points[NOSE_BASE]
    # The upper edge runs from the ears past the mouth corners and up to the nose.
    edge = np.array(
        [
            points[RIGHT_EDGE] * 0.75 + right * 0.25 + (0.0, unit * 0.13),
            points[RIGHT_EDGE] * 0.45 + right * 0.55 + (0.0, unit * 0.18),
            right + (-unit * 0.11, -unit * 0.02),
            nose + (-unit * 0.20, unit * 0.055),
            nose + (0.0, unit * 0.025),
            nose + (unit * 0.20, unit * 0.055),
            left + (unit * 0.11, -unit * 0.02),
            points[LEFT_EDGE] * 0.45 + left * 0.55 + (0.0, unit * 0.18),
            points[LEFT_EDGE] * 0.75 + left * 0.25 + (0.0, unit * 0.13),
        ]
    )
    area = _cover(shape, np.concatenate([outward[2:-2], edge[::-1]]), fill=True)
    face = _cover(shape, points[list(FACE_OVAL)], fill=True)
    area = np.minimum(cv2.GaussianBlur(area, (0, 0), unit * 0.030), 1)
    lips = np.concatenate([points[list(OUTER_UPPER_LIP)], points[list(OUTER_LOWER_LIP)][::-1]])
    middle = lips.mean(axis=0)
    lips = middle + (lips - middle) * (1.05, 1.12)
    free = cv2.GaussianBlur(_cover(shape, lips, fill=True), (0, 0), unit * 0.008)
    soft = cv2.GaussianBlur(face, (0, 0), unit * 0.02)
    return np.asarray(area * soft * (1 - free), np.float32)


def _strokes(ground: Floats, density: Floats, points: Floats, unit: float) -> Image:
    """Single hairs over the shade: short, downwards and outwards, each of its own tone."""
    random = np.random.default_rng(5)
    light = ground.mean(axis=2)
    large = cv2.resize(ground, None, fx=DRAWN, fy=DRAWN, interpolation=cv2.INTER_CUBIC)
    rows, columns = np.nonzero(density > 0.08)
    chosen = random.integers(0, len(rows), int(len(rows) * 1.6))
    middle = (points[MOUTH_RIGHT] + points[MOUTH_LEFT]) / 2
    fall = max(float(points[CHIN][1] - middle[1]), 1.0)
    usual = float(np.median(light[rows, columns]))
    for row, column in zip(rows[chosen], columns[chosen], strict=True):
        if random.random() > density[row, column]:
            continue
        start = np.array([column, row]) + random.random(2)
        aside, below = (start[0] - middle[0]) / unit, (start[1] - middle[1]) / fall
        lean = aside * (1.6 if below < 0.1 else 0.5) + random.normal(0, 0.25)
        length = unit * random.uniform(0.012, 0.032) * (0.5 + 0.5 * density[row, column])
        end = start + np.array([np.sin(lean), np.cos(lean)]) * length
        tone = np.array(HAIR) * random.uniform(0.65, 1.45) * float(light[row, column]) / usual
        ends = [tuple(int(value) for value in point * DRAWN) for point in (start, end)]
        cv2.line(large, ends[0], ends[1], tuple(float(value) for value in tone), 1)
    size = (ground.shape[1], ground.shape[0])
    small = cv2.resize(large, size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small + 0.5, 0, 255), np.uint8)


def _lens(points: Floats, lids: tuple[tuple[int, ...], ...], unit: float) -> Floats:
    """(48, 2) outline: a rounded rectangle around one eye, in line with both."""
    eye = points[list(lids[0]) + list(lids[1])]
    centre = eye.mean(axis=0) + (0.0, unit * 0.035)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    rounded = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rounded = np.sign(rounded) * np.abs(rounded) ** 0.62
    across = points[EYES[1][0][-1]] - points[EYES[0][0][0]]
    along = across / np.linalg.norm(across)
    turn = np.array([along, [-along[1], along[0]]])
    return np.asarray(centre + rounded * (unit * 0.262, unit * 0.185) @ turn, np.float32)


def _bridge_and_arms(points: Floats, lenses: list[Floats]) -> list[Floats]:
    right, left = lenses
    inner_right, inner_left = right[46], left[26]
    top = (inner_right + inner_left) / 2 - (0.0, np.linalg.norm(inner_left - inner_right) * 0.16)
    bridge = np.array(
        [inner_right, (inner_right + top) / 2, top, (inner_left + top) / 2, inner_left]
    )
    arms = []
    for outline, at, ear in ((right, 26, RIGHT_EDGE), (left, 46, LEFT_EDGE)):
        hinge = outline[at]
        arms.append(np.array([hinge, [points[ear][0], hinge[1] - 1.0]]))
    return [bridge, *arms]


def _gleam(shape: tuple[int, ...], lenses: list[Floats], unit: float) -> Floats:
    """A faint slanted reflection in the upper outer part of each lens."""
    gleam = np.zeros(shape, np.float32)
    for outline in lenses:
        centre = outline.mean(axis=0)
        slant = np.array([[-0.20, 0.02], [-0.08, -0.12], [-0.03, -0.12], [-0.16, 0.05]]) * unit
        gleam = np.maximum(gleam, _cover(shape, (centre + slant).astype(np.float32), fill=True))
    return np.asarray(cv2.GaussianBlur(gleam, (0, 0), unit * 0.012) * 0.35, np.float32)


def _cover(
    shape: tuple[int, ...],
    outline: Floats,
    width: float = 0.0,
    fill: bool = False,
    closed: bool = True,
) -> Floats:
    """Share of each pixel that a shape or its line covers, 0 to 1."""
    large = np.zeros((shape[0] * DRAWN, shape[1] * DRAWN), np.uint8)
    corners = np.round(outline * DRAWN).astype(np.int32)
    if fill:
        cv2.fillPoly(large, [corners], (255,))
    else:
        thickness = max(1, round(width * DRAWN))
        cv2.polylines(large, [corners], closed, (255,), thickness, cv2.LINE_AA)
    small = cv2.resize(large, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PORTRAITS.items():
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(draw(), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
