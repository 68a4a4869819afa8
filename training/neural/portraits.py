"""Many people made of a few portraits: mixed by twos, bent, stretched, and in another light.

Each variant is a portrait of its own, which the product prepares and the puppet makes talk. So the
networks learn to keep what a portrait shows rather than the few faces of the folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.face.landmarks import face_height
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.errors import FaceError
from lipstream.media.image import Floats, Image

SIDE = 384  # of a variant, pixels; its face is a little less than half as high
ABOVE, BELOW = 1.25, 0.95  # face heights from the face's middle to the variant's edges
_SHARES = (0.4, 1.0)  # of the first of two portraits that are mixed
_KNOTS = 5  # of the random bend, along each side
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """A change of all colours of a picture."""

    gain: Floats  # (3,)
    gamma: float
    saturation: float

    @classmethod
    def random(cls, dice: np.random.Generator) -> Light:
        tint, bright = dice.normal(0, 0.06, 3), dice.normal(0, 0.14)
        gamma, saturation = np.exp(dice.normal(0, 0.25)), np.exp(dice.normal(0, 0.2))
        gain = np.asarray(np.exp(tint + min(bright, 0.1)), np.float32)
        return cls(gain, float(gamma), float(saturation))

    def on(self, picture: Image) -> Image:
        """(h, w, 3) -> the same, relit."""
        unit = (picture.astype(np.float32) / 255) ** np.float32(self.gamma)
        grey = unit.mean(axis=2, keepdims=True)
        lit = (grey + (unit - grey) * np.float32(self.saturation)) * self.gain
        return np.asarray(np.clip(lit * 255 + 0.5, 0, 255), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A square picture of `SIDE` pixels and the mesh of the face in it."""

    picture: Image
    points: Floats  # (468, 2) pixels


def read_portraits(folders: Iterable[Path]) -> dict[str, Portrait]:
    """Every picture of the folders that shows a face, cut around it, by its file's name.

    FileNotFoundError when there is none.
    """
    finder, found = FaceFinder(), dict[str, Portrait]()
    for path in sorted(file for folder in folders for file in folder.iterdir()):
        if path.suffix.lower() in _SUFFIXES:
            picture = read_picture(path, AvatarConfig())
            if faces := finder.find(picture):
                square = _around(picture, faces[0].landmarks)
                if again := finder.find(square):
                    found[path.stem] = Portrait(square, again[0].landmarks[:, :2])
    if not found:
        raise FileNotFoundError("no picture of these folders shows a face; name others.")
    return found


def variant(portrait: Portrait, other: Portrait, dice: np.random.Generator) -> Avatar | None:
    """Somebody between two portraits, bent and relit; None where no face is found in the result."""
    bent = cv2.remap(
        mixed(portrait, other, float(dice.uniform(*_SHARES))),
        *_bend(SIDE, dice),
        interpolation=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    if dice.random() < 0.5:
        bent = bent[:, ::-1]
    return avatar_of(Light.random(dice).on(np.asarray(bent, np.uint8)))


def mixed(one: Portrait, other: Portrait, share: float) -> Image:
    """A face between two, `share` of which is the first: its form, then its colours.

    Both pictures are bent, triangle by triangle of their meshes, to the mean of their points.
    """
    if one is other:
        return one.picture
    from scipy.spatial import Delaunay  # for making corpora alone

    edge = SIDE - 1.0
    corners = np.array([(x, y) for x in (0, edge / 2, edge) for y in (0, edge / 2, edge)])
    corners = np.delete(corners, 4, axis=0)  # the middle
    sources = [np.concatenate([part.points, corners]) for part in (one, other)]
    mesh = Delaunay(share * sources[0] + (1 - share) * sources[1])
    pixels = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).reshape(-1, 2)
    found = mesh.find_simplex(pixels)
    into = mesh.transform[found]
    two = np.einsum("nij,nj->ni", into[:, :2], pixels - into[:, 2])
    weights = np.concatenate([two, 1 - two.sum(axis=1, keepdims=True)], axis=1)
    mix = np.zeros((SIDE, SIDE, 3), np.float32)
    for part, points, amount in ((one, sources[0], share), (other, sources[1], 1 - share)):
        read = np.einsum("ni,nij->nj", weights, points[mesh.simplices[found]])
        across, down = read.astype(np.float32).reshape(SIDE, SIDE, 2).transpose(2, 0, 1)
        seen = cv2.remap(
            part.picture,
            np.ascontiguousarray(across),
            np.ascontiguousarray(down),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        mix += seen * np.float32(amount)
    return np.asarray(np.clip(mix + 0.5, 0, 255), np.uint8)


def avatar_of(picture: Image) -> Avatar | None:
    """The picture prepared as a user's file would be; None where no face in it can talk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portrait.png"
        cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        try:
            return open_avatar(path, AvatarConfig())
        except FaceError:
            return None


def _around(picture: Image, landmarks: Floats) -> Image:
    """A square of `SIDE` pixels around the face, mirrored beyond the picture's edges."""
    points = landmarks[:, :2]
    middle, height = points.mean(axis=0), face_height(points)
    scale = SIDE / (height * (ABOVE + BELOW))
    if scale < 1:  # averaging first, as a smaller photograph has no aliasing either
        smaller = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        picture = np.asarray(cv2.resize(picture, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        middle, scale = middle * scale, 1.0
    corner = (SIDE / 2, SIDE * ABOVE / (ABOVE + BELOW)) - middle * scale
    matrix = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    cut = cv2.warpAffine(
        picture,
        matrix,
        (SIDE, SIDE),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(cut, np.uint8)


def _bend(side: int, dice: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The (side, side) columns and rows at which each pixel of a bent picture is read."""
    ahead = np.arange(side, dtype=np.float32) - side / 2
    across, down = np.meshgrid(ahead, ahead)
    angle, zoom = dice.normal(0, 0.06), np.exp(dice.normal(0, 0.10))
    stretch = np.exp(dice.normal(0, 0.05, 2))
    turned = (
        (across * np.cos(angle) - down * np.sin(angle)) * zoom * stretch[0],
        (across * np.sin(angle) + down * np.cos(angle)) * zoom * stretch[1],
    )
    knots = dice.normal(0, 0.009 * side, (2, _KNOTS, _KNOTS)).astype(np.float32)
    waves = (cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC) for part in knots)
    read = [
        np.asarray(straight + wave + side / 2, np.float32)
        for straight, wave in zip(turned, waves, strict=True)
    ]
    return read[0], read[1]
