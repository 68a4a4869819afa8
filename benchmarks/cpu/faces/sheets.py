"""Contact sheets for the eye: source, rest, soft, medium, widest at full size, the mouths enlarged.

A clip has further rows: the mouth of every third frame of silence and of speech, source above.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.cpu.faces.drawn import Drawn, Part
from benchmarks.cpu.faces.performance import POSES
from lipstream.avatar.face import landmarks as lm

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

MAX_SIDE = 560  # pixels of one face
QUALITY = 84
MOUTH = 0.55  # eye distances from the middle of the lips to the edges of the crop
STRIP, STRIP_EVERY, STRIP_FRAMES = 120, 3, 36  # pixels of a mouth, frames between two, mouths


def write(drawn: Drawn, path: Path) -> None:
    """Write the sheet of one face."""
    poses = drawn.part("poses")
    pictures = [poses.source(0), *poses.frames]
    names = ["source", *POSES]
    rows = [
        _row(
            [_label(_fitted(picture), name) for picture, name in zip(pictures, names, strict=True)]
        )
    ]
    side = rows[0].shape[1] // len(pictures)
    rows.append(_row([_mouth(picture, poses.points[0], side) for picture in pictures]))
    if drawn.moving:
        for name in ("silence", "speech"):
            rows += _strip(drawn.part(name), name)
    width = max(row.shape[1] for row in rows)
    sheet = np.vstack([_widened(row, width) for row in rows])
    cv2.imwrite(
        str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )


def _strip(part: Part, name: str) -> list[Image]:
    """The mouths of many frames, source above what was drawn."""
    indices = part.seen()[::STRIP_EVERY][:STRIP_FRAMES]
    cells = []
    for index in indices:
        pair = [
            _mouth(picture, part.points[index], STRIP)
            for picture in (part.source(index), part.frames[index])
        ]
        cells.append(
            _label(np.vstack(pair), f"{name} {index}" if index == indices[0] else str(index))
        )
    across = STRIP_FRAMES // 2
    return [_row(cells[i : i + across]) for i in range(0, len(cells), across)]


def _fitted(picture: Image) -> Image:
    """At full size, unless it is very large."""
    scale = min(1.0, MAX_SIDE / max(picture.shape[:2]))
    if scale == 1:
        return np.ascontiguousarray(picture)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _mouth(picture: Image, points: Floats, side: int) -> Image:
    """(side, side, 3) the mouth, upright."""
    middle = points[[lm.UPPER_LIP_CENTRE, lm.LOWER_LIP_CENTRE], :2].mean(0)
    reach = MOUTH * lm.eye_distance(points)
    centre = (float(middle[0]), float(middle[1]))
    matrix = cv2.getRotationMatrix2D(centre, np.degrees(lm.roll(points)), side / (2 * reach))
    matrix[:, 2] += side / 2 - middle
    flags, border = cv2.INTER_CUBIC, cv2.BORDER_REPLICATE
    image = np.ascontiguousarray(picture)
    return np.asarray(
        cv2.warpAffine(image, matrix, (side, side), flags=flags, borderMode=border), np.uint8
    )


def _row(cells: list[Image]) -> Image:
    return np.hstack(cells)


def _widened(row: Image, width: int) -> Image:
    return np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)


def _label(picture: Image, text: str) -> Image:
    labelled = np.ascontiguousarray(picture).copy()
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(labelled, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, thickness, 16)
    return labelled
