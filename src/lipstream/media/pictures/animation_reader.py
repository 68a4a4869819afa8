"""The pictures of a GIF, WebP, APNG or AVIF and the time for which each is shown."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from lipstream.errors import PictureError
from lipstream.media.image import Image
from lipstream.media.input_path import opened
from lipstream.media.pictures.picture_file import check_size, formats, reading, to_rgb

MIN_DURATION_MS = 11  # browsers show what asks for less as long as USUAL_DURATION_MS
USUAL_DURATION_MS = 100
MAX_DURATION_MS = 60_000


def read_animation(
    path: Path, background: tuple[int, int, int], max_side: int, max_pixels: int
) -> Iterator[tuple[Fraction, Fraction, Image]]:
    """(start, end, picture) in seconds, in order, decoded one at a time.

    Each picture is whole, (height, width, 3) uint8 sRGB, upright and no longer than `max_side`.
    PictureError when the file is damaged, also on the way.
    """
    with opened(path, PictureError) as file:
        with reading(path):
            animation = Pillow.open(file, formats=formats())
            count = getattr(animation, "n_frames", 1)
        check_size(path, *animation.size, max_pixels)
        # The picture for programs that show no animations is not part of it.
        first = 1 if animation.info.get("default_image") and count > 1 else 0
        start = Fraction(0)
        for number in range(first, count):
            with reading(path):
                animation.seek(number)
                picture = np.array(to_rgb(animation, background, max_side), np.uint8)
                shown = animation.info.get("duration", 0)
            asked = min(round(shown), MAX_DURATION_MS)
            milliseconds = asked if asked >= MIN_DURATION_MS else USUAL_DURATION_MS
            end = start + Fraction(milliseconds, 1000)
            yield start, end, picture
            start = end
