"""The number of scans of a JPEG file, each of which costs a pass over the whole picture."""

from __future__ import annotations

import re
from pathlib import Path

from lipstream.errors import PictureError
from lipstream.media.input_path import opened

MAX_SCANS = 100  # encoders write ten or so
# ITU-T T.81, annex B: FF 00 is data, D0 to D7 are restarts within a scan, FF FF is padding.
MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
WITHOUT_LENGTH = (0x01, 0xD8)


def check_scans(path: Path) -> None:
    """PictureError for a JPEG file of more than `MAX_SCANS` scans: a hundred kilobytes of empty
    ones would take minutes."""
    with opened(path, PictureError) as file:
        if scan_count(file.read()) > MAX_SCANS:
            raise PictureError(
                f"{path} has more than {MAX_SCANS} scans, so it would take very long to read; save "
                "it again as a plain jpg."
            )


def scan_count(data: bytes) -> int:
    """The scans of a JPEG file, counted up to the first beyond `MAX_SCANS`. For example, FF D8,
    a header of each kind, FF DA 00 08 (six bytes) and data, then FF D9: one scan."""
    scans = place = 0
    while scans <= MAX_SCANS and (found := MARKER.search(data, place)):
        marker, place = data[found.start() + 1], found.end()
        if marker == END_OF_IMAGE:
            break
        scans += marker == START_OF_SCAN
        if marker not in WITHOUT_LENGTH:
            place += max(int.from_bytes(data[place : place + 2], "big"), 2)
    return scans
