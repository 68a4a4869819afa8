"""Fakes that make time visible: frame index and samples received stand in the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.avatar import Avatar, AvatarFrame, QualityReport
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.registry import Backend
from lipstream.speech.base import Plan
from lipstream.timeline import FPS, frame_start

if TYPE_CHECKING:
    from lipstream.config import Progress
    from lipstream.media.image import Floats, Image


class StripeState:
    """Keeps all samples; a frame's context is (samples so far, their sum, the frame's sum)."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._samples = np.zeros(0, np.float32)

    def advance(self, samples: Floats, frames: range, end: int | None = None) -> Floats:
        self._samples = np.concatenate([self._samples, samples])
        rows = []
        for frame in frames:
            span = self._samples[frame_start(frame, self._fps) : frame_start(frame + 1, self._fps)]
            rows.append([len(self._samples), self._samples.sum(dtype=np.float64), span.sum()])
        return np.array(rows, np.float32)

    def fork(self) -> StripeState:
        other = StripeState(self._fps)
        other._samples = self._samples
        return other


class StripeEncoder:
    """Encodes positions only, by the plan that a test chooses."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan or Plan(past=0, step=1, future=960)

    def open(self, fps: Fraction) -> StripeState:
        return StripeState(fps)

    def encode(self, contexts: Sequence[Floats]) -> list[Floats]:
        return list(contexts)


class StripeRenderer:
    """Paints three 24-bit numbers as pixels: the frame's index, how many samples were received (0
    at rest) and the blend weight of speech in thousandths."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        return avatar

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        self.batches.append(len(requests))
        return [self._paint(request) for request in requests]

    def _paint(self, request: FrameRequest) -> Image:
        width, height = request.avatar.size
        picture = np.zeros((height, width, 3), np.uint8)
        received = 0 if request.conditioning is None else int(request.conditioning[0])
        blend_weight = 0 if request.conditioning is None else round(1000 * request.blend_weight)
        for column, number in enumerate((request.index, received, blend_weight)):
            picture[0, column] = (number >> 16 & 255, number >> 8 & 255, number & 255)
        return picture


def read_stripes(picture: Image) -> tuple[int, int]:
    """Read the frame index and the samples received that `StripeRenderer` painted."""
    pixels = picture[0, :2].astype(int)
    index, received = (int(r) << 16 | int(g) << 8 | int(b) for r, g, b in pixels)
    return index, received


def read_blend_weight(picture: Image) -> float:
    """Read the blend weight of speech: 0 at rest, 1 in speech."""
    r, g, b = picture[0, 2].astype(int)
    return int(r << 16 | g << 8 | b) / 1000


def stripe_backend(
    plan: Plan | None = None,
    fps: Fraction = FPS,
    batch: int = 1,
    renderer: StripeRenderer | None = None,
) -> Backend:
    """A backend of fakes."""
    drawing = renderer or StripeRenderer()
    return Backend("stripes", StripeEncoder(plan), drawing, fps, batch, "a test")


def blank_avatar(width: int = 16, height: int = 16, frames: int = 1) -> Avatar:
    """An avatar without a face, for tests of everything but drawing."""
    pictures = [np.full((height, width, 3), shade, np.uint8) for shade in range(frames)]
    report = QualityReport(
        width, height, frames, 0, 0, frames, 1, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    )
    return Avatar(tuple(AvatarFrame(p, None) for p in pictures), frames > 1, "blank", report)
