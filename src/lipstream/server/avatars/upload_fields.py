"""The text fields that come with an upload of an avatar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from lipstream.config import MOTION_LEVELS, MotionLevel, face_choice, rotation
from lipstream.errors import OptionError
from lipstream.server.avatars.stores.base import NAME_LENGTH
from lipstream.server.avatars.uploads import Upload
from lipstream.server.errors import ApiError


def name_of(upload: Upload) -> str:
    """The name that the upload gives, or that of its file, in one printable line."""
    name = " ".join(upload.fields.get("name", "").split()) or upload.path.stem
    return "".join(letter for letter in name if letter.isprintable())[:NAME_LENGTH]


def motion_of(fields: Mapping[str, str]) -> MotionLevel | None:
    """The idle motion that an upload names; ApiError 422 for one that there is not."""
    levels: dict[str | None, MotionLevel | None] = {None: None, "": None}
    levels |= {level: level for level in get_args(MotionLevel)}
    text = fields.get("motion")
    if text not in levels:
        raise ApiError(422, f"there is no motion {text!r}; use {', '.join(MOTION_LEVELS)}.")
    return levels[text]


def check_framing(fields: Mapping[str, str]) -> None:
    """ApiError 422 unless `face` and `rotate`, where they are given, can be understood."""
    try:
        face_choice(fields.get("face") or "1")
        rotation(fields.get("rotate") or "none")
    except OptionError as error:
        raise ApiError(422, str(error)) from error
