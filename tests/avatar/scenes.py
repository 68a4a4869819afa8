"""Pictures and clips made of the one test portrait."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from lipstream.avatar.face.landmarks import (
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    LIPS,
    eye_distance,
    mouth_gap,
    mouth_width,
)

if TYPE_CHECKING:
    from lipstream.avatar.face.finder import Face
    from lipstream.media.image import Floats, Image


def placed(portrait: Image, x: float = 0, y: float = 0, angle: float = 0, size: float = 1) -> Image:
    """The portrait shifted in pixels, turned clockwise in degrees and scaled about its middle."""
    height, width = portrait.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, size)
    matrix = matrix + np.array([[0, 0, x], [0, 0, y]])
    warped = cv2.warpAffine(
        portrait, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)


def pasted(portrait: Image, size: tuple[int, int], left: int, top: int, side: int) -> Image:
    """A grey picture of `size` (width, height) with the portrait `side` pixels large in it."""
    scene = np.full((size[1], size[0], 3), 90, np.uint8)
    small = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
    scene[top : top + side, left : left + side] = small
    return scene


def faceless(side: int = 256) -> Image:
    """A calm texture in the portrait's colours, without a face."""
    noise = np.random.default_rng(3).integers(0, 256, (side, side, 3), dtype=np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 12).astype(np.float32)
    return np.asarray(np.clip((soft - 127) * 6 + 140, 0, 255), np.uint8)


def lettered(seed: int, side: int = 256) -> Image:
    """Large lettering over a calm texture, such as a watermark."""
    random = np.random.default_rng(seed)
    scene = faceless(side)
    for _ in range(12):
        left, bottom = random.integers(-20, side, 2).tolist()
        text = "".join(map(chr, random.integers(33, 127, 6)))
        font, size = int(random.integers(0, 8)), float(random.uniform(0.6, 2.5))
        thickness = int(random.integers(1, 5))
        white = (235, 235, 235)
        cv2.putText(scene, text, (left, bottom), font, size, white, thickness, cv2.LINE_AA)
    return scene


def masked(picture: Image, points: Floats, colour: tuple[int, int, int]) -> Image:
    """The picture with a face mask, from the tip of the nose down; `points` are the face's."""
    outline = (123, 50, 5, 280, 352, 454, 323, 361, 397, 379, 400, 152, 176, 150, 172, 132, 93, 234)
    shape = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(shape, [np.round(points[list(outline), :2]).astype(np.int32)], (255,))
    folds = 1 - 0.05 * np.sin(np.arange(len(picture)) / 4)[:, None, None]
    shown = np.where(shape[..., None] > 0, folds * np.asarray(colour), picture)
    return np.asarray(np.clip(shown, 0, 255), np.uint8)


def bearded(picture: Image, points: Floats, colour: tuple[int, int, int]) -> Image:
    """The picture with a full beard that leaves the lips and the nose."""
    noise = np.random.default_rng(2).normal(0, 14, picture.shape[:2])[..., None]
    beard = np.clip(masked(picture, points, colour) + noise, 0, 255)
    left = np.zeros(picture.shape[:2], np.uint8)
    lips = cv2.convexHull(np.round(points[list(LIPS), :2]).astype(np.int32))
    cv2.fillPoly(left, [lips], (255,))
    for x, y in points[[1, 4, 5, 195, 2]][:, :2]:
        cv2.circle(left, (round(x), round(y)), round(eye_distance(points) * 0.2), (255,), -1)
    return np.asarray(np.where(left[..., None] > 0, picture, beard), np.uint8)


def opened(face: Face, gap: float) -> Floats:
    """The landmarks of `face` with a gap of about so many mouth widths between its lips."""
    points = face.landmarks[:, :2].copy()
    lower = sorted({*INNER_LOWER_LIP} - {*INNER_UPPER_LIP})
    points[lower, 1] += gap * mouth_width(points) - mouth_gap(points)
    return points


def covered(portrait: Image) -> Image:
    """The portrait with a brown card held before the face; the surroundings stay."""
    hidden = portrait.copy()
    hidden[75:235, 65:190] = (150, 110, 80)
    return hidden


def swaying(portrait: Image, count: int) -> list[Image]:
    """The head swings slowly from side to side; every frame carries fresh camera noise."""
    random = np.random.default_rng(9)
    frames = []
    for index in range(count):
        frame = placed(portrait, x=6 * np.sin(index / 15), y=2 * np.cos(index / 12))
        noisy = frame + random.normal(0, 5, frame.shape)
        frames.append(np.asarray(np.clip(noisy, 0, 255), np.uint8))
    return frames


def write_clip(
    path: Path, frames: Sequence[Image], fps: int = 25, pixel_shape: Fraction = Fraction(1)
) -> Path:
    """A nearly lossless mp4, of pixels that are `pixel_shape` times as wide as high."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "8", "preset": "fast"})
        stream.pix_fmt = "yuv444p"
        stream.height, stream.width = frames[0].shape[:2]
        stream.sample_aspect_ratio = pixel_shape
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
