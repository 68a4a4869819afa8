"""Contact sheets for the eye: every viseme, and three seconds of speech, on several faces.

python -m benchmarks.cpu.contact_sheets docs/sheets        # writes the jpg files that docs/ shows
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.cpu import portraits
from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import build_avatar
from lipstream.avatar.face.landmarks import CHIN, FOREHEAD, face_height
from lipstream.config import AvatarConfig, MotionConfig
from lipstream.engine import Engine
from lipstream.media.audio_reader import open_audio
from lipstream.offline import render_stream
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.registry import open_backend
from lipstream.speech.articulation.network import PARAMETERS

if TYPE_CHECKING:
    from lipstream.media.image import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
CELL, COLUMNS, QUALITY = 200, 7, 84  # pixels, cells in a row, JPEG quality

# jaw, round, wide, close, tuck, teeth, tongue at the middle of each sound.
VISEMES: dict[str, dict[str, float]] = {
    "rest": {},
    "a": {"jaw": 0.95, "wide": 0.3, "teeth": 0.1},
    "ae": {"jaw": 0.9, "wide": 0.5, "teeth": 0.35},
    "e": {"jaw": 0.5, "wide": 0.55, "teeth": 0.35},
    "i": {"jaw": 0.2, "wide": 0.85, "teeth": 0.35},
    "o": {"jaw": 0.5, "round": 0.75, "teeth": 0.1},
    "u": {"jaw": 0.22, "round": 1.0, "teeth": 0.1},
    "m": {"jaw": 0.12, "close": 1.0},
    "f": {"jaw": 0.12, "wide": 0.2, "tuck": 1.0, "teeth": 0.3},
    "s": {"jaw": 0.08, "wide": 0.45, "teeth": 1.0, "tongue": 0.1},
    "sh": {"jaw": 0.12, "round": 0.6, "teeth": 0.85},
    "l": {"jaw": 0.28, "wide": 0.2, "teeth": 0.3, "tongue": 0.8},
    "th": {"jaw": 0.18, "wide": 0.2, "teeth": 0.5, "tongue": 0.95},
}


def main() -> None:
    """Write all sheets into the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, avatar in _avatars(folder):
        _write(folder / f"visemes_{name}.jpg", _visemes(avatar))
        _write(folder / f"speech_{name}.jpg", _speech(avatar))


def _avatars(folder: Path) -> Iterator[tuple[str, Avatar]]:
    for draw in (
        portraits.smiling,
        portraits.closed,
        portraits.tilted,
        portraits.bearded,
        portraits.spectacled,
    ):
        path = folder / "portrait.png"
        cv2.imwrite(str(path), cv2.cvtColor(draw(), cv2.COLOR_RGB2BGR))
        yield draw.__name__, build_avatar(path, AvatarConfig())
        path.unlink()
    yield "clip", build_avatar(EXAMPLES / "idle.mp4", AvatarConfig())


def _visemes(avatar: Avatar) -> list[tuple[str, Image]]:
    renderer = open_backend("puppet", motion=MotionConfig(blink=False, sway=False)).renderer
    cells = [("source", avatar.at(0).pixels)]
    for name, values in VISEMES.items():
        row = np.array([values.get(parameter, 0.0) for parameter in PARAMETERS], np.float32)
        cells.append((name, renderer.render([FrameRequest(avatar, 0, row)])[0]))
    return [(name, _crop(avatar, picture)) for name, picture in cells]


def _speech(avatar: Avatar) -> list[tuple[str, Image]]:
    with open_audio(EXAMPLES / "speech.wav") as sound:
        frames = list(render_stream(Engine(open_backend("puppet")), avatar, sound))
    return [
        (f"{frame.timestamp_ms / 1000:.2f}", _crop(avatar, frame.frame))
        for frame in frames[8 : 8 + 3 * 25 : 3]
    ]


def _crop(avatar: Avatar, picture: Image) -> Image:
    """The face, square."""
    points = avatar.at(0).landmarks
    assert points is not None
    centre = points[[FOREHEAD, CHIN], :2].mean(0) + (0, 0.08 * face_height(points))
    half = int(0.80 * face_height(points))
    left, top = (max(int(value) - half, 0) for value in centre)
    face = picture[top : top + 2 * half, left : left + 2 * half]
    return np.asarray(cv2.resize(face, (CELL, CELL), interpolation=cv2.INTER_AREA), np.uint8)


def _write(path: Path, cells: list[tuple[str, Image]]) -> None:
    blank = np.full((CELL, CELL, 3), 255, np.uint8)
    pictures = [_label(picture, name) for name, picture in cells]
    pictures += [blank] * (-len(pictures) % COLUMNS)
    rows = [np.hstack(pictures[i : i + COLUMNS]) for i in range(0, len(pictures), COLUMNS)]
    sheet = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(path), sheet, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def _label(picture: Image, text: str) -> Image:
    labelled = picture.copy()
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(labelled, text, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, width, 16)
    return labelled


if __name__ == "__main__":
    main()
