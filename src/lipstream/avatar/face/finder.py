"""Faces in a picture: 468 points each, without anything to download.

Small faces: the detector sees a face only when it fills a sixth of its window, so the picture is
scanned by ever smaller tiles; each candidate is looked at again in a crop of its own, and the mesh
has the last word. Its score is near 0 on everything that is no face, which removes false hits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from lipstream.avatar.face.crop import RotatedSquare
from lipstream.avatar.face.detector import Detection, FaceDetector
from lipstream.avatar.face.landmarks import POINTS, eye_distance, roll
from lipstream.avatar.face.opencv_net import TfliteNetwork
from lipstream.media.image import Floats, Image

MODEL = "face_landmark.tflite"
MESH_SIDE = 192  # pixels the mesh network sees
MESH_MARGIN = 1.5  # its crop is so many times the face's box
MIN_MESH_SCORE = 0.5  # a lower one is no face
UPRIGHT_SCORE = 0.99  # true faces score more, faces taken upside down rarely do
TILES = (1.0, 1 / 2, 1 / 4, 1 / 8)  # window sides of the scan as shares of the longer side
MIN_TILE_SHARE = 0.12  # the least eye distance found in a window, as a share of its side
MIN_TILE_SIZES = 2  # so many are scanned even when a face was found already
SCAN_SCORE, CONFIRM_SCORE = 0.3, 0.5  # detector thresholds of the scan and of the second look
CONFIRM_MARGIN = 2.5  # the second window is so many times the candidate's box
MAX_CANDIDATES = 12  # candidates of one tile size that get a second look
MIN_TILE = 64  # pixels; faces that need smaller ones have a few pixels between the eyes


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """The landmarks of one face and the score of the mesh."""

    landmarks: Floats  # (468, 3) pixels of the picture, z towards the viewer negative
    score: float  # 0.5 to 1


class FaceFinder:
    """Finds and follows faces in RGB pictures; stateless, and safe to share between threads."""

    def __init__(self) -> None:
        self._detector = FaceDetector()
        self._mesh = TfliteNetwork(MODEL, ("conv2d_21", "conv2d_31"))

    def find(self, image: Image, min_eye_distance: float = 0.0) -> list[Face]:
        """All faces of (height, width, 3) uint8 RGB, best first by size times score.

        Faces from about 4 % of the picture's longer side are found; smaller ones next to a large
        face may be left out, since small tiles are scanned only while no face has been found.
        `min_eye_distance`, in pixels, saves the tiles in which only smaller faces are found.
        """
        faces: list[Face] = []
        for rank, share in enumerate(TILES):
            enough = max(image.shape[:2]) * TILES[rank - 1] * MIN_TILE_SHARE < min_eye_distance
            if rank >= MIN_TILE_SIZES and (faces or enough):
                break
            for candidate in self._scan(image, share):
                if any(_covers(face, candidate.square) for face in faces):
                    continue
                face = self._confirm(image, candidate)
                if face and not any(_covers(other, _own_square(face.landmarks)) for other in faces):
                    faces.append(face)
        return sorted(faces, key=lambda face: -eye_distance(face.landmarks) * face.score)

    def track(self, image: Image, previous: Face) -> Face | None:
        """The face in the next picture, at the place it had; None where there is none."""
        return self._measure(image, _own_square(previous.landmarks))

    def _scan(self, image: Image, share: float) -> list[Detection]:
        found: list[Detection] = []
        for window in _tiles(image, share):
            found += self._detector.detect(image, window, SCAN_SCORE)
        apart: list[Detection] = []
        for detection in sorted(found, key=lambda detection: -detection.score):
            if not any(_near(detection.square, other.square) for other in apart):
                apart.append(detection)
        return apart[:MAX_CANDIDATES]

    def _confirm(self, image: Image, candidate: Detection) -> Face | None:
        """Detect again in a crop around the candidate, then fit the mesh twice, either way up."""
        around = candidate.square.scaled(CONFIRM_MARGIN)
        # Upright, as the detector expects it.
        window = RotatedSquare(around.x, around.y, around.side)
        again = self._detector.detect(image, window, CONFIRM_SCORE)
        if not again:
            return None
        square = again[0].square.scaled(MESH_MARGIN)
        upright = self._fit(image, square)
        # The detector takes faces upside down for upright ones; the mesh scores the truth higher.
        turned = self._fit(image, square.turned(math.pi))
        best = max(UPRIGHT_SCORE, upright.score if upright else 0.0)
        return self.track(image, turned) if turned and turned.score > best else upright

    def _fit(self, image: Image, square: RotatedSquare) -> Face | None:
        first = self._measure(image, square)
        return first and self.track(image, first)

    def _measure(self, image: Image, square: RotatedSquare) -> Face | None:
        """The mesh in one crop; None below the gate."""
        if not square.side > 1:
            return None
        picture = square.sample(image, MESH_SIDE, cv2.BORDER_REPLICATE)
        points, logit = self._mesh.run(picture, 1 / 255, 0.0)
        score = float(1 / (1 + np.exp(-np.clip(logit.reshape(-1)[0], -50, 50))))
        if score <= MIN_MESH_SCORE:
            return None
        landmarks = points.reshape(POINTS, 3) / np.float32(MESH_SIDE)
        landmarks[:, :2] = square.points(landmarks[:, :2])
        landmarks[:, 2] *= square.side
        return Face(landmarks, score)


def _tiles(image: Image, share: float) -> Iterator[RotatedSquare]:
    """Windows of `share` of the longer side that overlap by half and cover the picture."""
    height, width = image.shape[:2]
    side = max(height, width) * share
    if side < MIN_TILE and share < 1:
        return
    for y in _centres(height, side):
        for x in _centres(width, side):
            yield RotatedSquare(x, y, side)


def _centres(length: int, side: float) -> list[float]:
    if length <= side:
        return [length / 2]
    steps = int(np.ceil((length - side) / (side / 2)))
    return [float(at) for at in np.linspace(side / 2, length - side / 2, steps + 1)]


def _own_square(landmarks: Floats) -> RotatedSquare:
    return RotatedSquare.around(landmarks, roll(landmarks), MESH_MARGIN)


def _near(one: RotatedSquare, other: RotatedSquare) -> bool:
    return float(np.hypot(one.x - other.x, one.y - other.y)) < max(one.side, other.side) / 2


def _covers(face: Face, square: RotatedSquare) -> bool:
    return _near(square, _own_square(face.landmarks).scaled(1 / MESH_MARGIN))
