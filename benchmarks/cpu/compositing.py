"""The host's work on a live frame between its painted face and the video encoder.

    python -m benchmarks.cpu.compositing [--rounds N] [--out F]

Three ways take turns: the published one (the whole picture through Pillow, then converted), RGB
(only the face is put back, then the whole is converted), and planes (only the face is put back, and
nothing is left to convert). The face is as the painter gives it: to the published way at 256
pixels, to the others as the pixels that change, blended and in the form that is put back. One
thread. Needs nothing but the base installation.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

from benchmarks.machine import describe
from lipstream.bench.published_compositing import compose_as_published
from lipstream.media.i420 import BT601, paste_i420, to_i420
from lipstream.media.image import Box, paste
from lipstream.rendering.musetalk.compositing.blend import BlendPlan

if TYPE_CHECKING:
    Way: TypeAlias = Callable[[], object]

SIZES = [(512, 512), (1280, 720), (1920, 1080)]
FACE = 0.5  # the side of the face's box, of the picture's height
CHANGED = 0.6  # of the box, its lower part
REPEATS = 20  # frames of one way before the next has its turn


@dataclass(frozen=True, slots=True)
class Row:
    """One size of picture; milliseconds are medians of the rounds."""

    width: int
    height: int
    published_ms: float
    rgb_ms: float
    planes_ms: float
    ratio: float  # RGB over planes, median of the rounds
    rgb_bytes: int  # that leave the device for one face
    planes_bytes: int


def measure(size: tuple[int, int], rounds: int) -> Row:
    """All three ways, by turns."""
    ways = _ways(size)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(1 + rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            for _ in range(REPEATS):
                way()
            if turn:  # the first round warms up
                times[name].append(1000 * (time.perf_counter() - began) / REPEATS)
    region = _region(size)
    changed = region.width * region.height
    ratios = [rgb / planes for rgb, planes in zip(times["rgb"], times["planes"], strict=True)]
    return Row(
        width=size[0],
        height=size[1],
        published_ms=round(median(times["published"]), 3),
        rgb_ms=round(median(times["rgb"]), 3),
        planes_ms=round(median(times["planes"]), 3),
        ratio=round(median(ratios), 1),
        rgb_bytes=3 * changed,
        planes_bytes=3 * changed // 2,
    )


def _ways(size: tuple[int, int]) -> dict[str, Way]:
    width, height = size
    random = np.random.default_rng(1)
    picture = random.integers(0, 256, (height, width, 3), np.uint8)
    face = random.integers(0, 256, (256, 256, 3), np.uint8)
    region, out = _region(size), np.empty((height * 3 // 2, width), np.uint8)
    box = Box(region.left, region.top - (_side(size) - region.height), region.right, region.bottom)
    plan = BlendPlan(box, region, np.full((region.height, region.width), 128, np.uint8))
    patch = random.integers(0, 256, (region.height, region.width, 3), np.uint8)
    planes, plane_patch = to_i420(picture, BT601), to_i420(patch, BT601)

    def published() -> object:
        composed = compose_as_published(picture, face, plan)
        return cv2.cvtColor(composed, cv2.COLOR_RGB2YUV_I420, out)

    def rgb() -> object:
        return cv2.cvtColor(paste(picture, patch, region), cv2.COLOR_RGB2YUV_I420, out)

    def as_planes() -> object:
        return paste_i420(planes, plane_patch, region)

    return {"published": published, "rgb": rgb, "planes": as_planes}


def _side(size: tuple[int, int]) -> int:
    return int(FACE * size[1]) // 2 * 2


def _region(size: tuple[int, int]) -> Box:
    """Of the picture; on even pixels."""
    side, bottom = _side(size), int(0.75 * size[1]) // 2 * 2
    left = (size[0] - side) // 4 * 2
    return Box(left, bottom - int(CHANGED * side) // 2 * 2, left + side, bottom)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="write a JSON report")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rows = [measure(size, options.rounds) for size in SIZES]
    print("picture      published ms   RGB ms     I420 ms     RGB / I420   KB from the device")
    for row in rows:
        print(
            f"{f'{row.width}x{row.height}':<12}{row.published_ms:>13.2f}{row.rgb_ms:>9.2f}"
            f"{row.planes_ms:>12.2f}{row.ratio:>15.1f}"
            f"{row.rgb_bytes / 1000:>12.0f} -> {row.planes_bytes / 1000:.0f}"
        )
    if options.out:
        report = {"machine": describe(), "rows": [asdict(row) for row in rows]}
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
