"""Small media files of every kind, and damage done to them, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from tests.heif_files import box, write_tiles
from tests.icc_profiles import ADOBE_RGB, rgb_profile
from tests.media.pictures.test_animation_reader import write_animation
from tests.media.test_clip_colours import PICTURE, write_clip
from tests.media.test_deinterlacer import write_interlaced
from tests.media.test_demux import write_movie
from tests.media_files import tone, write_sound, write_wav

RATE = 16_000
HEAD = 400  # bytes; most of what decides is there
PICTURES = 6  # of a movie: a face is sought in each of them


def write_originals(folder: Path) -> list[Path]:
    """One file of each kind."""
    random = np.random.default_rng(11)
    soft = Pillow.fromarray(random.integers(0, 256, (8, 12, 3), np.uint8)).resize((96, 64))
    exif = Pillow.Exif()
    exif[274] = 5
    marked = {"exif": exif, "icc_profile": rgb_profile(ADOBE_RGB).getvalue()}
    pictures: dict[str, tuple[str, str, dict[str, Any]]] = {
        "a.png": ("RGBA", "PNG", marked),
        "p.png": ("P", "PNG", {}),
        "g.png": ("I;16", "PNG", {}),
        "a.jpg": ("RGB", "JPEG", marked),
        "c.jpg": ("CMYK", "JPEG", {}),
        "m.jpg": ("RGB", "MPO", {"save_all": True, "append_images": [soft]}),
        "a.tif": ("RGB", "TIFF", {**marked, "compression": "tiff_lzw"}),
        "c.tif": ("CMYK", "TIFF", {"compression": "tiff_deflate"}),
        "a.webp": ("RGBA", "WEBP", marked),
        "a.avif": ("RGB", "AVIF", marked),
        "a.jp2": ("RGB", "JPEG2000", {}),
        "a.bmp": ("RGB", "BMP", {}),
    }
    for name, (mode, kind, options) in pictures.items():
        source = soft.convert("L") if mode.startswith("I") else soft
        source.convert(mode).save(folder / name, kind, **options)
    write_tiles(folder / "a.heic", np.asarray(soft), 32, box(b"irot", b"\1"))
    for kind in ("GIF", "WEBP", "PNG", "AVIF"):
        write_animation(folder / f"film.{kind.lower()}", kind, [40, 120, 80, 40])
    write_movie(folder / "timecode.mov", beside="timecode", count=PICTURES)
    write_movie(folder / "chapters.mp4", "av", beside="chapters", count=PICTURES)
    write_movie(folder / "font.mkv", beside="attachment", count=PICTURES)
    write_movie(folder / "data.ts", beside="data", count=PICTURES)
    layered = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 99, np.uint8)])
    vpx = {"crf": "30", "b": "1M", "auto-alt-ref": "0"}
    write_clip(folder / "alpha.webm", layered, "libvpx-vp9", "yuva420p", 6, options=vpx)
    write_clip(folder / "alpha.mov", layered, "prores_ks", "yuva444p10le", 6)
    write_clip(folder / "deep.mp4", PICTURE, "libx264", "yuv420p10le", 9, transfer=18, primaries=9)
    write_clip(folder / "motion.avi", PICTURE, "mjpeg", "yuvj420p", 6, full=True)
    write_interlaced(folder / "fields.mpg", "mpeg2video", "yuv420p", PICTURES, flags="+ildct+ilme")
    sound = tone(0.4, RATE)
    write_wav(folder / "a.wav", np.asarray(sound * 32_000, np.int16), RATE)
    for name, codec in (
        *(("a.flac", "flac"), ("a.mp3", "mp3"), ("a.m4a", "aac"), ("a.wma", "wmav2")),
        *(("a.ogg", "libopus"), ("a.aiff", "pcm_s16be"), ("a.aac", "aac"), ("a.caf", "alac")),
    ):
        rate = 48_000 if codec == "libopus" else RATE
        write_sound(folder / name, tone(0.4, rate), rate, codec)
    return sorted(folder.iterdir())


def damaged(content: bytes, seed: int) -> bytes:
    """The content with one of six kinds of damage."""
    random = np.random.default_rng(seed)
    data = bytearray(content)
    kind = random.integers(6)
    if kind == 0:  # bits flip anywhere
        for place in random.integers(0, len(data), random.integers(1, 40)):
            data[place] ^= 1 << int(random.integers(8))
    elif kind == 1:  # bytes change in the header
        for place in random.integers(0, min(HEAD, len(data)), random.integers(1, 8)):
            data[place] = int(random.integers(256))
    elif kind == 2:  # the end is missing
        del data[int(random.integers(1, len(data))) :]
    elif kind == 3:  # a block comes twice
        start, length = map(int, (random.integers(0, len(data)), random.integers(1, 600)))
        data[start:start] = data[start : start + length]
    elif kind == 4:  # a block is gone, another is zero
        start, length = map(int, (random.integers(4, len(data)), random.integers(1, 300)))
        del data[start : start + length]
        middle = len(data) // 2
        data[middle : middle + 50] = bytes(len(data[middle : middle + 50]))
    else:  # a number in the header becomes the highest or the lowest
        start = int(random.integers(4, min(HEAD, len(data)) + 4))
        data[start : start + 4] = (b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff")[
            random.integers(3)
        ]
    return bytes(data) or b"\0"


def mutants(originals: list[Path], count: int, first: int = 0) -> Iterator[tuple[str, bytes]]:
    """`count` names and contents, every original in turn."""
    contents = [(path.name, path.read_bytes()) for path in originals]
    for seed in range(first, first + count):
        name, content = contents[seed % len(contents)]
        yield f"{seed}-{name}", damaged(content, seed)
