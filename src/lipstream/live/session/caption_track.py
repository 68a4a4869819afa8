"""The captions of one utterance, until the sound they belong to is given out."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator

from lipstream.errors import BufferFullError
from lipstream.media.captions import Caption
from lipstream.timeline import SOUND_RATE, UNIT_SAMPLES


class CaptionTrack:
    """Captions that wait, the earliest first; those of one sample in the order in which they came.

    A caption is due with the unit that holds its first sample. For example, at 24 kHz a unit is 960
    samples: captions at 0, 959 and 960 are due with the units 0, 0 and 1. Beyond `limit` captions
    that wait it refuses more.
    """

    def __init__(self, sample_rate: int, limit: int) -> None:
        self._sample_rate, self._limit = sample_rate, limit
        self._waiting: list[Caption] = []

    def add(self, caption: Caption) -> None:
        """Keep `caption`; BufferFullError when too many wait."""
        if len(self._waiting) >= self._limit:
            raise BufferFullError(
                f"{self._limit} captions of this utterance wait already; give the next ones when "
                "some were heard."
            )
        insort(self._waiting, caption, key=lambda one: one.start)

    def due(self, units: int | None) -> Iterator[Caption]:
        """Take what begins in the first `units` units, or with None all that is left."""
        until = None if units is None else units * UNIT_SAMPLES * self._sample_rate
        while self._waiting and (until is None or self._waiting[0].start * SOUND_RATE < until):
            yield self._waiting.pop(0)

    def clear(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()
