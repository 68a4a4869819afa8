"""From any number of channels to one, without silence where channels cancel each other.

A microphone wired the wrong way round, or the two of a phone, can give a second channel that is the
first one inverted: their mean is silent. Then the loudest channel alone is listened to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipstream.media.audio import AudioChunk, checked_rate
from lipstream.media.image import Floats

BLOCKS_PER_SECOND = 50
MEMORY = 0.97  # share of the energies that a block keeps of those before: they fade in 0.7 s
# Energy of the mean over that of the loudest channel. Two channels give 0.25 where one of them is
# silent and 0.5 where they have nothing in common.
CANCELLED = 0.1  # below it the mean is given up,
RESTORED = 0.2  # above it it is taken again
LOUDER = 2.0  # times the energy of the channel that is listened to: another one takes its place


class MonoMixer:
    """The sound of one stream in one channel: the mean, or the loudest channel where that cancels.

    The output depends on the samples only, never on how they were cut into chunks, and nothing is
    delayed: each block of 20 ms, counted from the start of the stream, is mixed by the energies of
    the blocks before it. A change fades in over a block.

        left = -right = speech    the first 20 ms: their mean, silence; from then on: left
    """

    def __init__(self, sample_rate: int) -> None:
        self._block = checked_rate(sample_rate) // BLOCKS_PER_SECOND  # samples
        self._begin(1)

    def _begin(self, channels: int) -> None:
        self._open: list[Floats] = []  # (n, channels) of the block that is not complete
        self._filled = 0  # samples of it
        self._energies: NDArray[np.float64] = np.zeros(channels)  # of each channel
        self._mean_energy = 0.0
        self._channel: int | None = None  # listened to; None: the mean of all
        self._before: int | None = None  # the same in the block before

    def mix(self, chunk: AudioChunk) -> Floats:
        """(n,) float32: the next samples. With another number of channels it begins anew."""
        if chunk.channels != len(self._energies):
            self._begin(chunk.channels)
        if chunk.channels == 1:
            return chunk.mono()
        mixed = [chunk.samples[:0, 0]]
        samples = chunk.samples
        while len(samples):
            part, samples = np.split(samples, [self._block - self._filled])
            mixed.append(self._mixed(part))
            self._open.append(part)
            self._filled += len(part)
            if self._filled == self._block:
                self._close_block()
        return np.concatenate(mixed)

    def _mixed(self, samples: Floats) -> Floats:
        now = _listen(samples, self._channel)
        if self._channel == self._before:
            return now
        steps = np.arange(self._filled + 1, self._filled + len(samples) + 1, dtype=np.float32)
        share = steps / np.float32(self._block)
        return share * now + (1 - share) * _listen(samples, self._before)

    def _close_block(self) -> None:
        block = np.concatenate(self._open).astype(np.float64)
        self._open, self._filled = [], 0
        energies = np.square(block).sum(axis=0)
        self._energies = MEMORY * self._energies + energies
        mean_energy = float(np.square(block.mean(axis=1)).sum())
        self._mean_energy = MEMORY * self._mean_energy + mean_energy
        self._before = self._channel
        loudest = int(self._energies.argmax())
        limit = self._energies[loudest] * (CANCELLED if self._channel is None else RESTORED)
        if self._mean_energy >= limit:  # in silence, too
            self._channel = None
        elif (
            self._channel is None
            or self._energies[loudest] > LOUDER * self._energies[self._channel]
        ):
            self._channel = loudest


def _listen(samples: Floats, channel: int | None) -> Floats:
    if channel is None:
        return np.asarray(samples.mean(axis=1), np.float32)
    return np.asarray(samples[:, channel], np.float32)
