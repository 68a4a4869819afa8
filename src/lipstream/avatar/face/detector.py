"""The rough places of faces: MediaPipe's short-range face detector.

The network sees 128 x 128 pixels and answers on 896 anchors: a 16 x 16 grid with two each and an
8 x 8 grid with six each. Box and key points are in pixels, relative to the anchor's centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from lipstream.avatar.face.crop import RotatedSquare
from lipstream.avatar.face.opencv_net import TfliteNetwork
from lipstream.media.image import Floats, Image

MODEL = "face_detection_short_range.tflite"
SIDE = 128  # pixels
GRIDS = ((16, 2), (8, 6))  # cells per side, anchors per cell
MIN_OVERLAP = 0.3  # intersection over union from which two boxes are the same face
RIGHT_EYE, LEFT_EYE = 0, 1  # of the six key points


@dataclass(frozen=True, slots=True)
class Detection:
    """A likely face: its square, turned to the eye line, and a probability."""

    square: RotatedSquare
    score: float


class FaceDetector:
    """Finds faces of roughly a sixth of a square or larger. Safe to share between threads."""

    def __init__(self) -> None:
        self._network = TfliteNetwork(MODEL, ("regressors", "classificators"))
        self._anchors = _anchors()

    def detect(self, image: Image, window: RotatedSquare, threshold: float) -> list[Detection]:
        """Faces inside `window` with a score of at least `threshold`, most likely first."""
        picture = window.sample(image, SIDE, cv2.BORDER_CONSTANT)
        values, logits = self._network.run(picture, 1 / 127.5, -1.0)
        logits = np.clip(logits.reshape(-1), -50, 50)
        scores: Floats = np.asarray(1 / (1 + np.exp(-logits)), np.float32)
        chosen = np.flatnonzero(scores >= threshold)
        rows = values.reshape(-1, 16)[chosen]
        pairs = rows.reshape(-1, 8, 2) / np.float32(SIDE)
        pairs[:, 0] += self._anchors[chosen]
        pairs[:, 2:] += self._anchors[chosen, None]
        return [_detection(window, group, score) for group, score in _merge(pairs, scores[chosen])]


def _detection(window: RotatedSquare, pairs: Floats, score: float) -> Detection:
    """From centre, size and key points in units of the window."""
    placed = window.points(pairs[[0, 2 + RIGHT_EYE, 2 + LEFT_EYE]])
    across = placed[2] - placed[1]
    angle = math.atan2(float(across[1]), float(across[0]))
    side = float(pairs[1].max()) * window.side
    return Detection(RotatedSquare(float(placed[0, 0]), float(placed[0, 1]), side, angle), score)


def _merge(pairs: Floats, scores: Floats) -> list[tuple[Floats, float]]:
    """Boxes of one face become their mean, weighted by score; it carries the best score."""
    order = np.argsort(-scores, kind="stable")
    merged = []
    while order.size:
        same = _overlap(pairs[order[0]], pairs[order]) > MIN_OVERLAP
        same[0] = True
        members = order[same]
        weights = scores[members, None, None]
        mean = (pairs[members] * weights).sum(axis=0) / weights.sum()
        merged.append((mean, float(scores[members[0]])))
        order = order[~same]
    return merged


def _overlap(one: Floats, others: Floats) -> Floats:
    """Intersection over union of a box and others; rows 0 and 1 are centre and size."""
    low = np.maximum(one[0] - one[1] / 2, others[:, 0] - others[:, 1] / 2)
    high = np.minimum(one[0] + one[1] / 2, others[:, 0] + others[:, 1] / 2)
    common = np.clip(high - low, 0, None).prod(axis=1)
    union = one[1].prod() + others[:, 1].prod(axis=1) - common
    return np.asarray(common / np.maximum(union, 1e-9), np.float32)


def _anchors() -> Floats:
    """(896, 2) centres of the anchors, 0 to 1."""
    centres = []
    for cells, per_cell in GRIDS:
        line = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        centres.append(np.repeat(grid, per_cell, axis=0))
    return np.concatenate(centres).astype(np.float32)
