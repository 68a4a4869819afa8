"""Frames as a player shows them: phones store a turned picture and say how to turn it."""

from __future__ import annotations

import struct

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipstream.media.boxes import find_box, split_boxes
from lipstream.media.demux import MOV, MediaFile
from lipstream.media.image import Image

Matrix = tuple[int, int, int, int]  # x' = a x + c y, y' = b x + d y


def mirror_matrix(media: MediaFile, stream: VideoStream) -> Matrix | None:
    """The matrix of an mp4 track that is to be shown mirrored; None for all others.

    Of a frame PyAV only tells its rotation safely: what comes beside it holds the matrix too, but
    some of that is freed twice once it was looked at, which ends the process.
    """
    if media.container.format.name != MOV:
        return None
    try:
        with media.path.open("rb") as file:
            movie = find_box(file, b"moov")
        tracks = [data for kind, data in split_boxes(movie) if kind == b"trak"]
        parts = [part for track in tracks for part in split_boxes(track)]
        for head in [data for kind, data in parts if kind == b"tkhd" and data]:
            place = (20, 52) if head[0] else (12, 40)  # of the number and the matrix
            (number,) = struct.unpack_from(">I", head, place[0])
            a, b, _, c, d = struct.unpack_from(">5i", head, place[1])
            if number == stream.id and a * d - b * c < 0:
                return (a, b, c, d)
    except (OSError, SyntaxError, struct.error):
        return None  # an index that FFmpeg could read all the same
    return None


def upright(image: Image, frame: VideoFrame, matrix: Matrix | None) -> Image:
    """The picture mirrored and turned by a matrix, or only turned as the frame says itself."""
    if matrix is None:
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))
    a, b, c, d = matrix
    if abs(b) > abs(a):  # x and y change places
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
