"""The turn of a source's pictures, and which of their faces is meant.

Users name a place in pixels of the source as a viewer shows it; the pictures of an avatar are
shrunk, and turned if wished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lipstream.avatar.face.choice import (
    FaceChoice,
    centre,
    choose,
    turned,
    turned_point,
    turns_to_upright,
)
from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.config import AvatarConfig
from lipstream.errors import FaceError, PictureError
from lipstream.media.image import Image

MAX_LISTED = 6  # faces in a sentence


@dataclass(frozen=True, slots=True)
class Framing:
    """The turn of all pictures of a source, and the face that is meant."""

    quarter_turns: int  # clockwise
    choice: FaceChoice | None  # in the turned picture; None takes the largest
    shrunk: float  # pixels of the picture per pixel of the source
    size: tuple[int, int]  # (width, height) of the turned picture

    @staticmethod
    def of(
        image: Image, source_side: int, choice: FaceChoice | None, quarter_turns: int
    ) -> Framing:
        """The framing of a source, by one of its pictures and its longer side, pixels.

        A `choice` by place is in pixels of the source.
        """
        height, width = image.shape[:2]
        shrunk = max(width, height) / source_side
        if isinstance(choice, tuple):
            place = (choice[0] * shrunk, choice[1] * shrunk)
            choice = turned_point(place, (width, height), quarter_turns)
        size = (height, width) if quarter_turns % 2 else (width, height)
        return Framing(quarter_turns, choice, shrunk, size)

    def apply(self, image: Image) -> Image:
        """The picture as the avatar shows it."""
        return turned(image, self.quarter_turns) if self.quarter_turns else image

    def places(self, faces: Sequence[Face]) -> tuple[tuple[int, int], ...]:
        """The middle of each face in pixels of the source."""
        back = [turned_point(centre(face), self.size, -self.quarter_turns) for face in faces]
        return tuple((round(x / self.shrunk), round(y / self.shrunk)) for x, y in back)


def find_framing(
    image: Image, source_side: int, config: AvatarConfig, finder: FaceFinder
) -> Framing | None:
    """The framing of a source whose longer side has `source_side` pixels, by one of its pictures.

    None where the face that is to stand upright is not found in it.
    """
    if config.rotate != "auto":
        return Framing.of(image, source_side, config.face, config.rotate // 90)
    as_it_is = Framing.of(image, source_side, config.face, 0)
    faces = finder.search(image, thorough=config.face is not None).faces
    face = choose(faces, as_it_is.choice or 1)
    if face is None:
        return None
    return Framing.of(image, source_side, config.face, turns_to_upright(face))


def source_side(path: Path) -> int:
    """Pixels of the longer side of a picture or clip, by its header, as a viewer shows it."""
    from lipstream.media.demux import open_media
    from lipstream.media.frames.converter import pixel_shape
    from lipstream.media.pictures.picture_file import open_picture, picture_kind
    from lipstream.media.video_reader import video_track

    if picture_kind(path) is not None:
        with open_picture(path) as picture:
            return max(picture.size)
    with open_media(path, PictureError) as media:
        track = video_track(media)
        return max(round(track.width * pixel_shape(track)), track.height)


def no_such_face(path: Path, config: AvatarConfig, places: Sequence[tuple[int, int]]) -> FaceError:
    """The error for a choice that none of the faces found at `places` meets."""
    wish = config.face
    named = f"face {wish}" if isinstance(wish, int) else "a face at {:g},{:g}".format(*wish or ())
    number = "1 face" if len(places) == 1 else f"{len(places)} faces"
    return FaceError(f"{path} has {number}, but not {named}; choose one of them: {listed(places)}.")


def listed(places: Sequence[tuple[int, int]]) -> str:
    """The faces by number and place, for a sentence: "1 at 210,340, 2 at 600,98"."""
    named = [f"{rank} at {x},{y}" for rank, (x, y) in enumerate(places[:MAX_LISTED], 1)]
    return ", ".join(named) + (", ..." if len(places) > MAX_LISTED else "")
