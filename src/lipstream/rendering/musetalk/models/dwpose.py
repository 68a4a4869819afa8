"""Upstream's own landmarks: DWPose, a whole-body network, through onnxruntime. Optional.

RTMPose (Jiang et al. 2023) with SimCC heads (Li et al. 2022): each of 133 points is one bin out of
576 columns and one out of 768 rows. MuseTalk takes the whole picture as the person's box, runs
the network twice, on it and on its mirror image, and keeps the 68 points of the face.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.errors import CheckpointError, MissingError
from lipstream.installation import install_command
from lipstream.media.image import Floats, Image
from lipstream.rendering.musetalk.weights.layout import PULL_LANDMARKS

WIDTH, HEIGHT = 288, 384  # pixels of the network's input
SPLIT = 2  # bins per pixel
PADDING = 1.25  # the window is so many times the person's box
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # RGB
POINTS = 133
FACE = slice(23, 91)  # the 68 points of iBUG among the 133
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")  # others compile for minutes

# The place of each of the 68 points in a mirrored picture.
MIRRORED = (
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31),  # bridge of the nose
    *range(35, 30, -1),  # below it
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lips
    *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lips
)


class DwPose:
    """Finds the 68 face landmarks of the one person in a picture. Safe to share between threads."""

    def __init__(self, session: Any) -> None:  # an onnxruntime.InferenceSession
        self._session = session
        self._input = str(session.get_inputs()[0].name)

    @classmethod
    def from_file(cls, path: str | Path) -> DwPose:
        """MissingError without the file or onnxruntime, CheckpointError for a damaged file."""
        path = Path(path)
        try:
            onnxruntime = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise MissingError(
                f"landmarks of DWPose need onnxruntime; run `{install_command('dwpose')}`, or use "
                "the built-in landmarks."
            ) from error
        if not path.is_file():
            raise MissingError(
                f"{path} is missing: {PULL_LANDMARKS}, or use the built-in landmarks."
            )
        try:
            available = onnxruntime.get_available_providers()
            providers = [name for name in PROVIDERS if name in available]
            session = onnxruntime.InferenceSession(path.read_bytes(), providers=providers)
        except Exception as error:  # onnxruntime's errors share no base
            raise CheckpointError(
                f"{path} is no ONNX network: delete it and {PULL_LANDMARKS}."
            ) from error
        return cls(session)

    def __call__(self, picture: Image) -> Floats:
        """(h, w, 3) uint8 RGB -> (68, 2) float32 pixels of the picture."""
        window = InputWindow.around(picture.shape[1], picture.shape[0])
        given = network_input(window.sample(picture))
        columns, rows = self._heads(given)
        mirrored = [head[list(MIRRORED)] for head in self._heads(given[..., ::-1])]
        return window.points(decode(columns + mirrored[0][:, ::-1], rows + mirrored[1]))

    def _heads(self, images: Floats) -> tuple[Floats, Floats]:
        """(68, 576) and (68, 768) logits of the face's points."""
        feed = {self._input: np.ascontiguousarray(images)}
        columns, rows = self._session.run(["simcc_x", "simcc_y"], feed)
        expected = (1, POINTS, WIDTH * SPLIT), (1, POINTS, HEIGHT * SPLIT)
        if (columns.shape, rows.shape) != expected:
            raise CheckpointError(
                f"the DWPose network gives {columns.shape} and {rows.shape}, expected {expected}: "
                f"delete its file and {PULL_LANDMARKS}."
            )
        return columns[0, FACE], rows[0, FACE]


@dataclass(frozen=True, slots=True)
class InputWindow:
    """The part of a picture that the network gets, upright, of its aspect ratio."""

    x: float  # centre, pixels of the picture
    y: float
    width: float
    height: float

    @classmethod
    def around(cls, width: int, height: int) -> InputWindow:
        """Around a whole picture, with the padding of a person's box."""
        padded = max(width, height * WIDTH / HEIGHT) * PADDING
        return cls(width / 2, height / 2, padded, padded * HEIGHT / WIDTH)

    def sample(self, picture: Image) -> Image:
        """(384, 288, 3) uint8, black outside the picture."""
        scale = WIDTH / self.width
        x, y = WIDTH / 2 - self.x * scale, HEIGHT / 2 - self.y * scale
        matrix = np.array([[scale, 0, x], [0, scale, y]])
        sampled = cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        return np.asarray(sampled, np.uint8)

    def points(self, pixels: Floats) -> Floats:
        """Pixels of the network's input -> pixels of the picture."""
        corner = (self.x - self.width / 2, self.y - self.height / 2)
        ratio = (self.width / WIDTH, self.height / HEIGHT)
        return np.asarray(pixels * ratio + corner, np.float32)


def network_input(picture: Image) -> Floats:
    """(384, 288, 3) uint8 RGB -> (1, 3, 384, 288) float32, normalised."""
    scaled = (picture - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32)


def decode(columns: NDArray[np.floating], rows: NDArray[np.floating]) -> Floats:
    """(n, 576) and (n, 768) logits -> (n, 2) pixels of the network's input.

    A point whose best logit is not above 0 lies at -0.5, as upstream has it.
    """
    at = np.stack([columns.argmax(1), rows.argmax(1)], 1).astype(np.float32)
    at[np.minimum(columns.max(1), rows.max(1)) <= 0] = -1
    return at / np.float32(SPLIT)
