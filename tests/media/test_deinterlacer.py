"""Interlaced clips show no combs, lose no picture and keep their time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipstream.media.image import Image
from lipstream.media.video_reader import read_clip

COUNT = 12
STEP = 4  # pixels from one half picture to the next


def moved(moment: int) -> Image:
    """A block on its way to the right."""
    picture = np.full((96, 160, 3), 60, np.uint8)
    left = 8 + STEP * moment
    picture[20:76, left : left + 40] = (220, 180, 150)
    return picture


def write_interlaced(
    path: Path, codec: str, pixels: str, count: int = COUNT, /, **options: str
) -> Path:
    """The odd rows of each picture are a moment older than the even ones."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = 96, 160, pixels
        for index in range(count):
            picture = moved(2 * index)
            picture[::2] = moved(2 * index + 1)[::2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def comb(image: Image) -> float:
    """The difference of a row from those above and below it, in the mean."""
    rows = image.astype(int)
    return float(np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean())


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "flags"),
    [
        ("a.mp4", "libx264", "yuv420p", "+ildct+ilme"),
        ("a.ts", "mpeg2video", "yuv420p", "+ildct+ilme"),
        ("a.mov", "prores_ks", "yuv422p10le", "+ildct"),
    ],
)
def test_an_interlaced_clip_is_made_whole(
    tmp_path: Path, name: str, codec: str, pixels: str, flags: str
) -> None:
    options = {"crf": "4"} if codec == "libx264" else {}
    path = write_interlaced(tmp_path / name, codec, pixels, flags=flags, **options)
    images = list(read_clip(path))
    assert len(images) == COUNT
    whole = comb(moved(0))
    for index, image in enumerate(images):
        assert comb(image) < 2 * whole
        left = int(np.argmax(image[48, :, 0] > 140))
        assert abs(left - (8 + 2 * STEP * index)) <= STEP


def test_a_whole_clip_passes_untouched(tmp_path: Path) -> None:
    path = write_interlaced(tmp_path / "a.mkv", "ffv1", "yuv420p")
    assert all(comb(image) > 5 for image in read_clip(path))  # its combs are not marked
