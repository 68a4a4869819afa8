"""A prepared avatar: frames with their landmarks, and a report of their quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lipstream.errors import ArchiveError, OptionError
from lipstream.media.image import Floats, Image
from lipstream.timeline import FPS

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class AvatarFrame:
    """One picture of the person. A clip's pictures stay JPEG-encoded until they are needed."""

    source: Image | bytes = field(repr=False)
    # (468, 2) pixels in this picture; None where no face was found
    landmarks: Floats | None = field(repr=False)
    shot: int = 0  # frames of one shot belong together; a scene cut starts the next shot

    @property
    def pixels(self) -> Image:
        """(height, width, 3) uint8 RGB; read-only where it is not a fresh copy."""
        if not isinstance(self.source, bytes):
            return self.source
        import cv2

        decoded = cv2.imdecode(np.frombuffer(self.source, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise ArchiveError("a frame of the avatar cannot be decoded; prepare it again.")
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def encode_picture(image: Image, suffix: str, options: Sequence[int] = ()) -> bytes:
    """The picture as a file of a kind, .png or .jpg, with OpenCV's `options`."""
    import cv2

    done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    assert done
    return data.tobytes()


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The suitability of a picture or clip; lengths in pixels of the prepared picture."""

    width: int
    height: int
    frames: int
    faces_found: int  # frames with a measured face
    faces_filled: int  # frames whose face was interpolated over a short gap
    faces_lost: int  # frames shown as they are, because no face was found
    shots: int
    people: int  # faces in the picture; the largest is animated
    eye_distance: float  # between the outer eye corners, median
    face_height: float  # forehead to chin as a share of the picture's height, median
    mouth_width: float  # median
    mouth_open: float  # gap between the lips as a share of the mouth width, median
    roll: float  # degrees, clockwise positive, median
    yaw: float  # nose offset between the eye corners as a share of their distance, median
    jitter: float  # second difference of the landmarks as a share of the eye distance, median
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Avatar:
    """A prepared person. Compared and hashed by identity; `digest` names the content."""

    frames: tuple[AvatarFrame, ...]
    moving: bool  # made from a clip
    digest: str  # SHA-256 of the source file and of what decides how it is prepared, hex
    report: QualityReport
    # What a backend prepared beforehand, by the backend's name; kept in the avatar's file.
    extras: Mapping[str, Arrays] = field(default_factory=dict)
    fps: Fraction = FPS  # frames per second of a clip

    def __repr__(self) -> str:
        (width, height), name = self.size, type(self).__name__
        return f"{name}({width}x{height}, frames={len(self.frames)}, digest={self.digest[:8]})"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of every picture."""
        return self.report.width, self.report.height

    def at(self, index: int) -> AvatarFrame:
        """The picture shown at frame `index` of a live stream."""
        return self.frames[self.position(index)]

    def position(self, index: int, fps: Fraction = FPS) -> int:
        """The place of the frame that is shown at frame `index` of a stream of `fps`."""
        return ping_pong(int(index * self.fps / fps), len(self.frames))

    def __contains__(self, name: object) -> bool:
        """Tell whether some backend prepared the array `name`."""
        return any(name in arrays for arrays in self.extras.values())

    def __getitem__(self, name: str) -> NDArray[Any] | tuple[NDArray[Any], ...]:
        """The array a backend prepared: `face_latent` and `mask` after preparing for musetalk.

        Arrays that differ in size from frame to frame come as a tuple, one per frame.
        `OptionError` for anything that was not prepared.
        """
        for arrays in self.extras.values():
            if name in arrays:
                shapes = arrays.get(f"{name}_shapes")
                return arrays[name] if shapes is None else split_ragged(arrays[name], shapes)
        raise OptionError(
            f"this avatar has no {name!r}: 'face_latent' and 'mask' exist once it is prepared "
            "for the musetalk backend."
        )


def ping_pong(index: int, length: int) -> int:
    """Forth and back through `length` frames without showing either end twice in a row."""
    if length == 1:
        return 0
    position = index % (2 * length - 2)
    return min(position, 2 * length - 2 - position)


def join_ragged(name: str, parts: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays of one type and any two-dimensional sizes as two that numpy stores without pickle."""
    flat = np.concatenate([part.ravel() for part in parts])
    return {name: flat, f"{name}_shapes": np.array([part.shape for part in parts], np.int64)}


def split_ragged(flat: NDArray[Any], shapes: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """The arrays that `join_ragged` joined, as views."""
    parts, start = [], 0
    for height, width in shapes.tolist():
        parts.append(flat[start : start + height * width].reshape(height, width))
        start += height * width
    return tuple(parts)
