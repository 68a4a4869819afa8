"""Putting what was rendered back into the whole picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipstream.video import Box

if TYPE_CHECKING:
    from lipstream.video import Image


def paste(picture: Image, patch: Image, box: Box) -> Image:
    """A copy of `picture` with `patch` in `box`; everything outside stays bit for bit."""
    result = picture.copy()
    result[box.slices] = patch
    return result
