"""Putting what was rendered back into the whole picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipstream.media.image import Box

if TYPE_CHECKING:
    from lipstream.media.image import Image, Planes


def paste(picture: Image, patch: Image, box: Box) -> Image:
    """A copy of `picture` with `patch` in `box`; everything outside stays bit for bit."""
    result = picture.copy()
    result[box.slices] = patch
    return result


def paste_planes(planes: Planes, patch: Planes, box: Box) -> Planes:
    """The same for pictures that are planes; the sides of `box` lie on even pixels."""
    result = planes.copy()
    rows = patch.shape[0] * 2 // 3
    result[box.slices] = patch[:rows]
    down, across = Box(box.left // 2, box.top // 2, box.right // 2, box.bottom // 2).slices
    _chroma(result)[:, down, across] = _chroma(patch)
    return result


def _chroma(planes: Planes) -> Planes:
    """(2, height / 2, width / 2): U and V, a view."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    return planes[height:].reshape(2, height // 2, width // 2)
