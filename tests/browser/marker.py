"""Backends with a machine-readable marker: a bright bar during speech, and a frame counter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.config import MuseTalkConfig, RuntimeOptions
from lipstream.media.i420 import BT601, pad_to_even, to_i420
from lipstream.rendering.base import FrameRequest, Renderer
from lipstream.rendering.registry import Backend, open_backend
from lipstream.speech.base import Plan
from lipstream.timeline import FPS, frame_start

if TYPE_CHECKING:
    from lipstream.config import Progress
    from lipstream.media.image import I420, Floats, Image

LOOK_AHEAD = 1280  # samples at 16 kHz: 80 ms, as MuseTalk's
MIN_LOUDNESS = 0.05  # root mean square of a frame's sound from which the bar is lit
BAR = slice(0, 64)  # rows
BITS = 16  # of the counter
CELLS = slice(64, 96)  # rows of the counter: one square per bit, the lowest first


class MarkerState:
    """Keeps the samples that belong to frames not requested yet."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._first = 0  # sample of the stream at which `_samples` begins
        self._samples = np.zeros(0, np.float32)

    def advance(self, samples: Floats, frames: range, end: int | None = None) -> Floats:
        self._samples = np.concatenate([self._samples, samples])
        rows = []
        for frame in frames:
            begin, stop = (frame_start(f, self._fps) - self._first for f in (frame, frame + 1))
            span = self._samples[begin:stop]
            rows.append([float(np.sqrt(np.mean(span**2))) if len(span) else 0.0])
        used = frame_start(frames.stop, self._fps)
        self._samples, self._first = self._samples[used - self._first :], used
        return np.array(rows, np.float32)

    def fork(self) -> MarkerState:
        other = MarkerState(self._fps)
        other._first, other._samples = self._first, self._samples
        return other


class LoudnessEncoder:
    """Encodes a frame as the loudness of its sound."""

    plan = Plan(past=0, step=1, future=LOOK_AHEAD)

    def open(self, fps: Fraction) -> MarkerState:
        return MarkerState(fps)

    def encode(self, contexts: Sequence[Floats]) -> list[Floats]:
        return list(contexts)


class MarkerRenderer:
    """Draws over the avatar's own picture; the brightness of the bar is the strength of speech."""

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        return avatar

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        return [self._draw(request) for request in requests]

    def _draw(self, request: FrameRequest) -> Image:
        row = request.conditioning
        loud = row is not None and float(row[0]) > MIN_LOUDNESS
        level = round(255 * request.blend_weight) if loud else 0
        return marked(request.avatar.at(request.index).pixels, level, request.index)


class MarkedRenderer:
    """A real renderer of planes; the bar is lit where it changed a still portrait."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._rest: WeakKeyDictionary[Avatar, I420] = WeakKeyDictionary()

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        return self._renderer.prepare(avatar, progress)

    def render(self, requests: Sequence[FrameRequest]) -> list[I420]:
        drawn = zip(requests, self._renderer.render(requests), strict=True)
        return [self._marked(request, planes) for request, planes in drawn]

    def _marked(self, request: FrameRequest, planes: I420) -> I420:
        moved = not np.array_equal(planes, self._rest_of(request.avatar))
        return marked_planes(
            planes, round(255 * request.blend_weight) if moved else 0, request.index
        )

    def _rest_of(self, avatar: Avatar) -> I420:
        rest = self._rest.get(avatar)
        if rest is None:
            rest = self._rest[avatar] = to_i420(pad_to_even(avatar.at(0).pixels), BT601)
        return rest


def marked_planes(planes: I420, level: int, index: int) -> I420:
    """As `marked`, for I420 planes."""
    planes, width = planes.copy(), planes.shape[1]
    height = len(planes) * 2 // 3
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    chroma[:, : CELLS.stop // 2] = 128
    bright = marked(np.zeros((CELLS.stop, width, 3), np.uint8), level, index)[..., 0]
    planes[: CELLS.stop] = 16 + bright.astype(int) * 219 // 255
    return planes


def marked(picture: Image, level: int, index: int) -> Image:
    """A copy with the bar at `level` and the counter at `index`."""
    picture = picture.copy()
    picture[BAR] = level
    cell = picture.shape[1] // BITS
    for bit in range(BITS):
        picture[CELLS, bit * cell : (bit + 1) * cell] = 255 * (index >> bit & 1)
    return picture


def marker_backend() -> Backend:
    """The backend of most of these tests."""
    return Backend("marker", LoudnessEncoder(), MarkerRenderer(), FPS, 4, "a test")


def marked_musetalk(models: Path) -> Backend:
    """MuseTalk with the weights of a folder, on the processor, with the marker."""
    musetalk = MuseTalkConfig(models, device="cpu")
    runtime = RuntimeOptions(live=True, pixel_format="i420")
    backend = open_backend("musetalk", musetalk=musetalk, runtime=runtime)
    return replace(backend, renderer=MarkedRenderer(backend.renderer))
