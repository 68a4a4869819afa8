"""Pictures of the usual sizes, laid out around the one photograph, for timing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.cpu.portraits import EXAMPLES, closed
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.face.landmarks import FACE_OVAL, face_height

if TYPE_CHECKING:
    from lipstream.media.image import Image

HD = (1280, 720)  # width, height
BUST = 290  # pixels from forehead to chin
SMALL = 72  # the same, a tenth of the picture's height


@dataclass(frozen=True, slots=True)
class Scene:
    """A source to time, and the milliseconds of a frame that are hoped for, if any."""

    name: str
    make: Callable[[], Image] | None  # None: the example clip
    target_ms: float | None

    def write(self, folder: Path) -> Path:
        """The source as a file that the product can open."""
        if self.make is None:
            return EXAMPLES / "idle.mp4"
        path = folder / f"{self.name.replace(' ', '_')}.png"
        cv2.imwrite(str(path), cv2.cvtColor(self.make(), cv2.COLOR_RGB2BGR))
        return path


def placed(height: float) -> Image:
    """The portrait in a wide picture, its face `height` pixels high, on its own blurred ground."""
    image = closed()
    points = FaceFinder().find(image)[0].landmarks
    scale = height / face_height(points)
    middle = points[list(FACE_OVAL), :2].mean(axis=0) * scale
    ground = cv2.GaussianBlur(cv2.resize(image, HD), (0, 0), 30)
    shift = np.array([HD[0] / 2, HD[1] * 0.42]) - middle
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    if scale < 1:
        # Averaging first: a photograph taken from afar has no aliasing either.
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        matrix[:, :2] = np.eye(2)
        image = np.asarray(small, np.uint8)
    cv2.warpAffine(image, matrix, HD, ground, cv2.INTER_CUBIC, borderMode=cv2.BORDER_TRANSPARENT)
    return np.asarray(ground, np.uint8)


def large() -> Image:
    """(1024, 1024, 3): the portrait enlarged."""
    return np.asarray(cv2.resize(closed(), (1024, 1024), interpolation=cv2.INTER_CUBIC), np.uint8)


SCENES = (
    Scene("512x512", closed, 6.0),
    Scene("1280x720 bust", lambda: placed(BUST), 12.0),
    Scene("1280x720 small face", lambda: placed(SMALL), None),
    Scene("1024x1024", large, None),
    Scene("clip 512x512", None, None),
)
