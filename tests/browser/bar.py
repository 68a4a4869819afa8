"""A backend made to be measured: a bright bar while its frame's sound is loud, and a counter."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from lipstream.rendering.backends import Backend
from lipstream.rendering.renderer import FrameRequest
from lipstream.speech.encoder import Plan
from lipstream.timeline import FPS, frame_start

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.progress import Progress
    from lipstream.video import Floats, Image

LOOK_AHEAD = 1280  # samples at 16 kHz: 80 ms, as MuseTalk's
LOUD = 0.05  # root mean square of a frame's sound from which the bar is lit
BAR = slice(0, 64)  # rows
BITS = 16  # of the counter
CELLS = slice(64, 96)  # rows of the counter: one square per bit, the lowest first


class BarEar:
    """Remembers the sound it has been given that belongs to frames not asked for yet."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._first = 0  # sample of the stream at which `_heard` begins
        self._heard = np.zeros(0, np.float32)

    def hear(self, samples: Floats, frames: range, end: int | None = None) -> Floats:
        self._heard = np.concatenate([self._heard, samples])
        rows = []
        for frame in frames:
            begin, stop = (frame_start(f, self._fps) - self._first for f in (frame, frame + 1))
            span = self._heard[begin:stop]
            rows.append([float(np.sqrt(np.mean(span**2))) if len(span) else 0.0])
        used = frame_start(frames.stop, self._fps)
        self._heard, self._first = self._heard[used - self._first :], used
        return np.array(rows, np.float32)

    def fork(self) -> BarEar:
        other = BarEar(self._fps)
        other._first, other._heard = self._first, self._heard
        return other


class BarEncoder:
    """A frame's conditioning is how loud it is."""

    plan = Plan(past=0, step=1, future=LOOK_AHEAD)

    def open(self, fps: Fraction) -> BarEar:
        return BarEar(fps)

    def encode(self, contexts: Sequence[Floats]) -> list[Floats]:
        return list(contexts)


class BarRenderer:
    """Draws over the avatar's own picture; how bright the bar is shows the strength of speech."""

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        return avatar

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        return [self._draw(request) for request in requests]

    def _draw(self, request: FrameRequest) -> Image:
        picture: Image = request.avatar.at(request.index).pixels.copy()
        row = request.conditioning
        loud = row is not None and float(row[0]) > LOUD
        picture[BAR] = round(255 * request.strength) if loud else 0
        cell = picture.shape[1] // BITS
        for bit in range(BITS):
            white = request.index >> bit & 1
            picture[CELLS, bit * cell : (bit + 1) * cell] = 255 * white
        return picture


def bar_backend() -> Backend:
    """The backend of these tests."""
    return Backend("bar", BarEncoder(), BarRenderer(), FPS, 4, "a test")
