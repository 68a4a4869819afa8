"""The cost of a puppet's frame, next to a puppet that computes everything for every frame.

    python -m benchmarks.cpu.plain_puppet [--avatar FILE] [--frames N] [--out FILE]

The plain one moves the lips and the jaw by a field that it computes on a coarse grid over the face,
warps the picture, darkens the mouth and blends the result in. It keeps nothing and does not blink,
and it looks worse; it stands for the cost of doing without preparation.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.landmarks import CHEEKS, JAW_LINE, NOSE_WINGS
from benchmarks.machine import describe
from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.avatar.face import landmarks as lm
from lipstream.bench.report import table
from lipstream.bench.run import find_portrait
from lipstream.bench.speech_signal import speech
from lipstream.config import MotionConfig
from lipstream.errors import FaceError
from lipstream.media.audio import AudioChunk
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.opencv_threads import one_thread_per_picture
from lipstream.rendering.puppet.pose import pose_of
from lipstream.rendering.puppet.renderer import PuppetRenderer
from lipstream.speech.articulation.encoder import ArticulationEncoder
from lipstream.stream import LipSyncStream
from lipstream.timeline import FPS, SAMPLE_RATE

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

WARM_UP = 5  # frames
STEP = 4  # pixels between two points of the plain one's grid


@dataclass(frozen=True, slots=True)
class FrameCost:
    """Milliseconds per frame, of one core."""

    name: str
    size: tuple[int, int]  # width, height of the picture
    median: float
    best: float  # 5th percentile
    worst: float  # 95th
    encoding: float  # of speech, mean, the same for both
    ratio: float  # times cheaper to draw than the plain one, median over the frames

    @property
    def sessions_per_core(self) -> float:
        """Live sessions whose speech and frames one core computes; their video is not encoded."""
        return 1000 / (float(FPS) * (self.median + self.encoding))

    def record(self) -> dict[str, object]:
        return asdict(self) | {"sessions_per_core": self.sessions_per_core}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--avatar", type=Path, help="a portrait; default the example")
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--out", type=Path, help="write all figures here as JSON")
    options = parser.parse_args()
    found = measure_puppet(find_portrait(options.avatar), options.frames)
    head = ("drawing, one core", "ms/frame", "best", "worst", "encoding", "ratio", "sessions/core")
    keys = ("name", "median", "best", "worst", "encoding", "ratio", "sessions_per_core")
    records = [cost.record() for cost in found]
    print("\n".join(table(head, [[record[key] for key in keys] for record in records])))
    if options.out:
        result = {"machine": describe(), "parts": {"puppet": records}}
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure_puppet(picture: Path, frames: int) -> list[FrameCost]:
    """Draw `frames` frames of a portrait that speaks, both ways by turns."""
    avatar = open_avatar(picture)
    renderer, plain = PuppetRenderer(FPS, MotionConfig()), PlainPuppet(avatar)
    renderer.prepare(avatar)
    poses, encoding = _encode(avatar, frames + WARM_UP)

    def ours(index: int) -> Image:
        return renderer.render([FrameRequest(avatar, index, poses[index])])[0]

    def theirs(index: int) -> Image:
        return plain.draw(index, FPS, poses[index])

    with one_thread_per_picture():
        slow, fast = _by_turns(theirs, ours, frames)
    ratio = float(np.median(slow / fast))
    return [
        _cost("plain, nothing kept", avatar, slow, encoding, 1.0),
        _cost("puppet", avatar, fast, encoding, ratio),
    ]


def _encode(avatar: Avatar, frames: int) -> tuple[list[Floats], float]:
    """A conditioning for each frame, and the milliseconds that encoding one took."""
    encoder = ArticulationEncoder.from_file()
    signal = speech((frames + 1) / float(FPS))
    stream = LipSyncStream(avatar, encoder)
    began = time.perf_counter()
    chunks = [signal[start : start + 1600] for start in range(0, len(signal), 1600)]
    segments = [
        segment
        for chunk in chunks
        for segment in stream.push(AudioChunk(chunk[:, np.newaxis], SAMPLE_RATE))
    ] + stream.end()
    rows = [row for segment in segments for row in encoder.encode([segment.context])[0]]
    return rows, 1000 * (time.perf_counter() - began) / len(rows)


def _by_turns(
    one: Callable[[int], Image], other: Callable[[int], Image], frames: int
) -> tuple[Floats, Floats]:
    """Milliseconds of each frame, both ways."""
    times: tuple[list[float], list[float]] = ([], [])
    for index in range(frames + WARM_UP):
        for draw, mine in zip((one, other), times, strict=True):
            began = time.perf_counter()
            draw(index)
            mine.append(1000 * (time.perf_counter() - began))
    first, second = (np.asarray(mine[WARM_UP:], np.float32) for mine in times)
    return first, second


def _cost(name: str, avatar: Avatar, times: Floats, encoding: float, ratio: float) -> FrameCost:
    best, middle, worst = (float(value) for value in np.percentile(times, (5, 50, 95)))
    return FrameCost(name, avatar.size, middle, best, worst, encoding, ratio)


class PlainPuppet:
    """A puppet that computes everything for every frame."""

    def __init__(self, avatar: Avatar) -> None:
        frame = avatar.frames[0]
        if frame.landmarks is None:
            raise FaceError("the picture shows no face; give another with --avatar.")
        self._picture, self._points = frame.pixels, frame.landmarks[:, :2]

    def draw(self, index: int, fps: Fraction, articulation: Floats) -> Image:
        """The picture at frame `index` of a stream, a fresh array."""
        pose, points = pose_of(articulation), self._points
        corners = points[[lm.MOUTH_RIGHT, lm.MOUTH_LEFT]]
        width = float(np.linalg.norm(corners[1] - corners[0]))
        moved = self._moved(pose.jaw, pose.rounding, width)
        left, top = np.maximum(points.min(0) - width / 4, 0).astype(int)
        right, bottom = (points.max(0) + width / 4).astype(int)
        rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
        grid = np.stack([columns, rows], -1)[::STEP, ::STEP]
        field = cv2.resize(self._field(grid, moved, width), columns.shape[::-1])
        sway = 0.01 * width * np.sin(index / float(fps))
        face = cv2.remap(
            self._picture,
            (columns - field[..., 0] - sway).astype(np.float32),
            (rows - field[..., 1]).astype(np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        inner = moved[list(lm.INNER_UPPER_LIP) + list(lm.INNER_LOWER_LIP)[::-1]]
        mouth = np.zeros(face.shape[:2], np.uint8)
        cv2.fillPoly(mouth, [np.rint(inner - (left, top)).astype(np.int32)], 255)
        dark = cv2.GaussianBlur(mouth, (5, 5), 0)[..., None] / 255
        oval = np.zeros(face.shape[:2], np.uint8)
        outline = points[list(lm.FACE_OVAL)] - (left, top)
        cv2.fillPoly(oval, [np.rint(outline).astype(np.int32)], 255)
        soft = cv2.GaussianBlur(oval, (31, 31), 0)[..., None] / 255
        result = self._picture.copy()
        below = result[top : top + len(face), left : left + face.shape[1]]
        shown = face * (1 - dark) + np.array([60, 25, 25]) * dark
        below[:] = np.rint(below * (1 - soft) + shown * soft).astype(np.uint8)
        return result

    def _moved(self, jaw: float, rounding: float, width: float) -> Floats:
        """All points of the face as the mouth moves them."""
        moved = self._points.copy()
        lower = [*lm.INNER_LOWER_LIP[1:-1], *lm.OUTER_LOWER_LIP[1:-1]]
        moved[lower, 1] += 0.35 * width * jaw
        moved[list(JAW_LINE[6:14]), 1] += 0.3 * width * jaw
        middle = self._points[[lm.MOUTH_RIGHT, lm.MOUTH_LEFT]].mean(0)
        lips = [*lower, *lm.OUTER_UPPER_LIP, *lm.INNER_UPPER_LIP]
        moved[lips, 0] += 0.2 * rounding * (middle[0] - moved[lips, 0])
        return np.asarray(moved, np.float32)

    def _field(self, pixels: Floats, moved: Floats, width: float) -> Floats:
        """By how much each pixel is moved: the mean of what the points near it are."""
        near = [*lm.OUTER_UPPER_LIP, *lm.OUTER_LOWER_LIP, *JAW_LINE, *CHEEKS, *NOSE_WINGS]
        total = np.full(pixels.shape[:2], 1e-3, np.float32)
        field = np.zeros_like(pixels)
        for point in near:
            apart = ((pixels - moved[point]) ** 2).sum(-1)
            weight = np.exp(-apart / (0.25 * width) ** 2)
            total += weight
            field += weight[..., None] * (moved[point] - self._points[point])
        return np.asarray(field / total[..., None], np.float32)


if __name__ == "__main__":
    main()
