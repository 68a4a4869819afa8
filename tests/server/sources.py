"""Pictures and sound that tell their own position, also after lossy coding."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import numpy as np

from lipstream.live.clock import Clock, MonotonicClock
from lipstream.live.session.types import Unit
from lipstream.timeline import UNIT_MS, UNIT_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lipstream.media.image import Image

BITS = 16


class MarkedSource:
    """Units on time, each with its index as bars in the picture and a steady tone as sound."""

    def __init__(
        self,
        size: tuple[int, int] = (128, 96),
        *,
        frequency: float = 440.0,
        first: int = 0,
        units: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.size, self.frequency = size, frequency
        self.next, self.last = first, None if units is None else first + units
        self.open = 0  # iterators that have not been closed
        self.sent: dict[int, float] = {}  # when units were given out, by time.monotonic
        self._clock = clock or MonotonicClock()
        self._backdrop = _backdrop(size)
        self._origin_ms: int | None = None

    async def units(self) -> AsyncIterator[Unit]:
        if self._origin_ms is None:
            self._origin_ms = self._clock.now_ms() - self.next * UNIT_MS
        self.open += 1
        try:
            while self.last is None or self.next < self.last:
                await self._clock.sleep_until(self._origin_ms + self.next * UNIT_MS)
                index, self.next = self.next, self.next + 1
                self.sent[index] = time.monotonic()
                yield self.unit(index)
        finally:
            self.open -= 1

    def unit(self, index: int) -> Unit:
        """The unit of one position."""
        times = (index * UNIT_SAMPLES + np.arange(UNIT_SAMPLES)) / 48_000
        tone = np.sin(2 * np.pi * self.frequency * times) * 8000
        return Unit(index, mark(self._backdrop, index), tone.astype(np.int16), True, True)


def counting(count: int, start: int = 0) -> bytes:
    """PCM whose every sample says which one it is."""
    return np.arange(start, start + count).astype("<i2").tobytes()


def mark(picture: Image, index: int) -> Image:
    """A copy with the low 16 bits of `index` as bars at the top, black or white."""
    marked = picture.copy()
    height, width = picture.shape[:2]
    for bit in range(BITS):
        bar = slice(bit * width // BITS, (bit + 1) * width // BITS)
        marked[: height // 3, bar] = 255 if index >> bit & 1 else 0
    return marked


def read_mark(picture: NDArray[np.uint8]) -> int:
    """The low 16 bits of the index that was painted, from grey or RGB."""
    grey = picture if picture.ndim == 2 else picture.mean(axis=2)
    height, width = grey.shape
    index = 0
    for bit in range(BITS):
        middle = int((bit + 0.5) * width / BITS)
        index |= int(grey[height // 12 : height // 4, middle].mean() > 127) << bit
    return index


def _backdrop(size: tuple[int, int]) -> Image:
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    shades = np.stack([columns * 255 // width, rows * 255 // height, (rows + columns) % 256], 2)
    return shades.astype(np.uint8)
