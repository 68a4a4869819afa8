"""Faces in a picture: 468 points each, without anything to download.

Small faces: the picture is scanned by ever smaller tiles; each candidate is looked at again in a
crop of its own, and the mesh has the last word: it sees the place three times, once in a mirror.
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
from lipstream.avatar.face.scan import is_near, scan
from lipstream.media.image import Floats, Image
from lipstream.rendering.opencv_threads import one_thread_per_picture

MODEL = "face_landmark.tflite"
MESH_SIDE = 192  # pixels the mesh network sees
MESH_MARGIN = 1.5  # its crop is so many times the face's box
MIN_MESH_SCORE = 0.5  # a lower one is no face
UPRIGHT_SCORE = 0.99  # true faces score more, faces taken upside down rarely do
# The mean log-odds of three looks. Lettering, wheels and ears score up to 0.9995 once, but no more
# than 5.2 in the mean; faces score 6.5 and more, unless blurred beyond recognition.
MIN_CERTAINTY = 5.8
MAX_LOG_ODDS = 13.8  # of one look: a score of 0.999999
TILES = (1.0, 1 / 2, 1 / 4, 1 / 8)  # window sides of the scan as shares of the longer side
MIN_TILE_SHARE = 0.12  # the least eye distance found in a window, as a share of its side
MIN_TILE_SIZES = 2  # so many are scanned even when a face was found already
SIDEWAYS = (math.pi / 2, -math.pi / 2)  # the detector takes upside-down faces for upright ones
CONFIRM_SCORE = 0.5  # detector's threshold of the second look
CONFIRM_MARGIN = 2.5  # the second window is so many times the candidate's box


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """The landmarks of one face and the score of the mesh."""

    landmarks: Floats  # (468, 3) pixels of the picture, z towards the viewer negative
    score: float  # 0.5 to 1


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """The outcome of a search, best first by size times score."""

    faces: list[Face]
    doubtful: list[Face]  # not certain to be faces: part of one, a covered one, or none


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
        return self.search(image, min_eye_distance).faces

    def search(self, image: Image, min_eye_distance: float = 0.0, thorough: bool = False) -> Search:
        """As `find`, with what is no certain face besides.

        A `thorough` search leaves no small face out next to a large one.
        """
        search = Search([], [])
        with one_thread_per_picture():
            for share, angle in _scans(max(image.shape[:2]), min_eye_distance):
                enough = angle or (share < TILES[MIN_TILE_SIZES - 1] and not thorough)
                if search.faces and enough:
                    break
                for candidate in scan(self._detector, image, share, angle):
                    self._add(search, image, candidate, angle)
        for found in (search.faces, search.doubtful):
            found.sort(key=lambda face: -eye_distance(face.landmarks) * face.score)
        return search

    def track(self, image: Image, previous: Face) -> Face | None:
        """The face in the next picture, at the place it had; None where there is none."""
        return self._measure(image, _own_square(previous.landmarks))

    def _add(self, search: Search, image: Image, candidate: Detection, angle: float) -> None:
        """Sort in what `candidate` shows, unless it is seen already."""
        if any(_covers(face, candidate.square) for face in search.faces):
            return
        face = self._confirm(image, candidate, angle)
        if face is None:
            return
        certain = self._certainty(image, face) >= MIN_CERTAINTY
        among = search.faces if certain else search.doubtful
        if not any(_covers(other, _own_square(face.landmarks)) for other in among):
            among.append(face)

    def _confirm(self, image: Image, candidate: Detection, angle: float) -> Face | None:
        """Detect again in a crop around the candidate, then fit the mesh twice, either way up."""
        around = candidate.square.scaled(CONFIRM_MARGIN)
        # Upright, as the detector expects it.
        window = RotatedSquare(around.x, around.y, around.side, angle)
        again = self._detector.detect(image, window, CONFIRM_SCORE)
        if not again:
            return None
        square = again[0].square.scaled(MESH_MARGIN)
        upright = self._fit(image, square)
        # The detector takes faces upside down for upright ones; the mesh scores the truth higher.
        turned = self._fit(image, square.turned(math.pi))
        best = max(UPRIGHT_SCORE, upright.score if upright else 0.0)
        return self.track(image, turned) if turned and turned.score > best else upright

    def _certainty(self, image: Image, face: Face) -> float:
        """The mean log-odds of the mesh: as found, at its own place, and there in a mirror.

        What is a face by chance of lettering or texture is none in the mirror.
        """
        picture = _own_square(face.landmarks).sample(image, MESH_SIDE, cv2.BORDER_REPLICATE)
        mirrored = np.ascontiguousarray(picture[:, ::-1])
        found = math.log(face.score / max(1 - face.score, 1e-9))
        looks = (found, self._look(picture)[1], self._look(mirrored)[1])
        return sum(min(odds, MAX_LOG_ODDS) for odds in looks) / len(looks)

    def _fit(self, image: Image, square: RotatedSquare) -> Face | None:
        first = self._measure(image, square)
        return first and self.track(image, first)

    def _measure(self, image: Image, square: RotatedSquare) -> Face | None:
        """The mesh in one crop; None below the gate."""
        if not square.side > 1:
            return None
        landmarks, odds = self._look(square.sample(image, MESH_SIDE, cv2.BORDER_REPLICATE))
        score = 1 / (1 + math.exp(-odds))
        if score <= MIN_MESH_SCORE:
            return None
        landmarks[:, :2] = square.points(landmarks[:, :2])
        landmarks[:, 2] *= square.side
        return Face(landmarks, score)

    def _look(self, picture: Image) -> tuple[Floats, float]:
        """The points in units of a crop of `MESH_SIDE` pixels, and the log-odds of a face."""
        points, odds = self._mesh.run(picture, 1 / 255, 0.0)
        landmarks = points.reshape(POINTS, 3) / np.float32(MESH_SIDE)
        return landmarks, float(np.clip(odds.reshape(-1)[0], -50, 50))


def _scans(longer: int, min_eye_distance: float) -> Iterator[tuple[float, float]]:
    """Tile shares and angles in which a picture is searched, until a face is found."""
    for rank, share in enumerate(TILES):
        if rank < MIN_TILE_SIZES or longer * TILES[rank - 1] * MIN_TILE_SHARE >= min_eye_distance:
            yield share, 0.0
    for angle in SIDEWAYS:
        for share in TILES[:MIN_TILE_SIZES]:
            yield share, angle


def _own_square(landmarks: Floats) -> RotatedSquare:
    return RotatedSquare.around(landmarks, roll(landmarks), MESH_MARGIN)


def _covers(face: Face, square: RotatedSquare) -> bool:
    return is_near(square, _own_square(face.landmarks).scaled(1 / MESH_MARGIN))
