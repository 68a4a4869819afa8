"""Draws one face with whatever version of lipstream is on the path, and saves what was drawn.

    PYTHONPATH=SRC python benchmarks/cpu/faces/worker.py AVATAR PERFORMANCE FOLDER

PERFORMANCE is a folder with the poses of each part as .npy. This runs by itself and imports nothing
of the benchmarks, so that yesterday's renderer can be measured by today's instrument.
`benchmarks.cpu.faces.drawn` reads the folder.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.avatar import Avatar, AvatarFrame
from lipstream.avatar.builder import open_avatar
from lipstream.avatar.face.landmarks import eye_distance, face_height, mouth_gap
from lipstream.config import MotionConfig
from lipstream.errors import LipstreamError
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.puppet.mouth.interior import MouthInterior
from lipstream.rendering.puppet.renderer import PuppetRenderer
from lipstream.timeline import FPS

Array = NDArray[Any]

ROOM = 0.45  # face heights kept around the face
NATURAL, NATURAL_SHARE = 10, 0.25  # frames with closed mouths, of this share of a clip
PAINTS = (255, 0)  # the inside of the mouth is painted white and black to find its pixels


def main() -> None:
    source, script, folder = (Path(argument) for argument in sys.argv[1:4])
    try:
        avatar = open_avatar(source)
    except LipstreamError as error:
        record: dict[str, object] = {"refused": str(error)}
    else:
        record = _draw(
            avatar, {path.stem: np.load(path) for path in sorted(script.iterdir())}, folder
        )
    (folder / "record.json").write_text(json.dumps(record))


def _draw(avatar: Avatar, script: dict[str, Array], folder: Path) -> dict[str, object]:
    renderer = PuppetRenderer(FPS, MotionConfig(blink=False, sway=False))
    began = time.process_time()
    renderer.prepare(avatar)
    prepared = time.process_time() - began
    left, top, right, bottom = box = _box(avatar)
    times = {}
    for part, poses in script.items():
        requests = [FrameRequest(avatar, index, row) for index, row in enumerate(poses)]
        if part == "poses":
            requests = [FrameRequest(avatar, 0, row) for row in poses]

        def draw(index: int, requests: list[FrameRequest] = requests) -> Array:
            picture = renderer.render([requests[index]])[0]
            return np.asarray(picture[top:bottom, left:right])

        draw(0)
        began = time.process_time()
        _save(folder / f"{part}.npy", len(requests), draw)
        times[part] = (time.process_time() - began) / len(requests)
        _save(folder / f"{part}_inside.npy", len(requests), _coverage(draw))
        frames = [avatar.at(request.index) for request in requests]
        corner = np.array([left, top], np.float32)
        none = np.full((468, 2), np.nan, np.float32)
        points = [none if one.landmarks is None else one.landmarks - corner for one in frames]
        np.save(folder / f"{part}_points.npy", np.stack(points))
        if avatar.moving:

            def source(index: int, frames: list[AvatarFrame] = frames) -> Array:
                return frames[index].pixels[top:bottom, left:right]

            _save(folder / f"{part}_source.npy", len(frames), source)
    natural = _most_closed(avatar)
    pictures = [frame.pixels[top:bottom, left:right] for frame in natural]
    np.save(folder / "natural.npy", np.stack(pictures))
    faces = [_points(frame) - np.array([left, top], np.float32) for frame in natural]
    np.save(folder / "natural_points.npy", np.stack(faces))
    return {
        "moving": avatar.moving,
        "size": avatar.size,
        "box": box,
        "frames": len(avatar.frames),
        "warnings": avatar.report.warnings,
        "seconds_to_prepare": prepared,
        "seconds_per_frame": times,
    }


def _coverage(draw: Callable[[int], Array]) -> Callable[[int], Array]:
    """Draw (height, width) 0 to 255: the share of each pixel that the mouth's inside has.

    The same frame is drawn with a white inside and with a black one.
    """

    def coverage(index: int) -> Array:
        drawn = []
        original = MouthInterior.paint
        for value in PAINTS:

            def paint(self: MouthInterior, *given: Any, value: int = value, **named: Any) -> Any:
                scene = original(self, *given, **named)
                scene = scene.copy()
                scene[..., :3] = value
                return scene

            MouthInterior.paint = paint  # type: ignore[method-assign]
            try:
                drawn.append(draw(index).astype(np.int16))
            finally:
                MouthInterior.paint = original  # type: ignore[method-assign]
        return np.asarray(np.clip((drawn[0] - drawn[1]).max(axis=2), 0, 255), np.uint8)

    return coverage


def _save(path: Path, count: int, make: Callable[[int], Array]) -> None:
    """Save `count` arrays of one shape, of which one is held at a time."""
    first = make(0)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, *first.shape))
    for index in range(count):
        file[index] = make(index)
    file.flush()


def _most_closed(avatar: Avatar) -> list[AvatarFrame]:
    """A few of the avatar's own frames whose mouths are the most closed, the most closed first."""
    faces = [frame for frame in avatar.frames if frame.landmarks is not None]
    faces.sort(key=lambda frame: mouth_gap(_points(frame)) / eye_distance(_points(frame)))
    some = max(1, round(NATURAL_SHARE * len(faces)))
    return faces[: some : max(1, some // NATURAL)]


def _points(frame: AvatarFrame) -> Array:
    assert frame.landmarks is not None
    return frame.landmarks


def _box(avatar: Avatar) -> tuple[int, int, int, int]:
    """The part of the pictures that holds the face in all frames, with room around it."""
    faces = [frame.landmarks for frame in avatar.frames if frame.landmarks is not None]
    room = ROOM * max(face_height(points) for points in faces)
    points = np.concatenate(faces)[:, :2]
    (x0, y0), (x1, y1) = points.min(0) - room, points.max(0) + room
    width, height = avatar.size
    return max(int(x0), 0), max(int(y0), 0), min(int(x1), width), min(int(y1), height)


if __name__ == "__main__":
    main()
