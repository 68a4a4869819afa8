"""Pictures of any rate, brought to a constant one."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TypeVar

T = TypeVar("T")


def at_rate(pictures: Iterator[tuple[Fraction, Fraction, T]], fps: Fraction) -> Iterator[T]:
    """For each i / fps the picture whose start is nearest, up to the end of the last one.

    The earlier one of two as near, and one that is shown for long up to half a frame before the
    next. `pictures` are (start, end, picture) in seconds, in order. A film of a single picture
    gives it once, however long it is shown: it is a photograph.

    At 25 fps, of pictures that start at 0, 40 and 160 ms, frame 3 (120 ms) is the second: the third
    is nearer, but comes 40 ms later.
    """
    half = 1 / (2 * fps)
    index = count = 0
    held: T | None = None
    since = until = Fraction(0)
    for start, end, picture in pictures:
        change = max((since + start) / 2, start - half)
        while held is not None and index <= change * fps:
            yield held
            index += 1
        held, since, until = picture, start, end
        count += 1
    while held is not None and (index == 0 or (count > 1 and 2 * index + 1 <= 2 * until * fps)):
        yield held
        index += 1
