"""The frames of a clip with the face that was found in each, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from lipstream.avatar.avatar import AvatarFrame, encode_picture
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.face.tracker import FaceTracker
from lipstream.avatar.quality import shows_mouth
from lipstream.config import AvatarConfig
from lipstream.media.image import Floats, Image

# At 97 without colour subsampling a clip's pictures are visually lossless and a twentieth the size.
JPEG = (
    *(cv2.IMWRITE_JPEG_QUALITY, 97),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)


class MeasuredClip:
    """Iterating it, once, decodes a clip, of which it holds one picture at a time.

    The landmarks of its frames are as they were measured: neither filled nor smoothed.
    """

    def __init__(self, path: Path, config: AvatarConfig, fps: Fraction, max_seconds: float) -> None:
        self.path, self.fps = path, fps
        self._config, self._max_seconds = config, max_seconds
        self.size = (0, 0)  # (width, height)
        self.portrait: Image | None = None  # the first picture that shows the face
        self.people = 0  # in that picture
        self.cut_off = 0  # frames whose face ends above the mouth: they count as faceless
        self.last: Image | None = None  # the picture read last

    def __iter__(self) -> Iterator[AvatarFrame]:
        """Raises PictureError as `read_clip` does, also on the way."""
        from lipstream.media.video_reader import read_clip

        config = self._config
        finder = FaceFinder()
        tracker = FaceTracker(finder, config.min_eye_distance)
        for image in read_clip(
            self.path,
            self.fps,
            config.max_side,
            self._max_seconds,
            config.max_pixels,
            config.background,
        ):
            self.size, self.last = (image.shape[1], image.shape[0]), image
            face = tracker.update(image)
            if face is not None and not shows_mouth(face.landmarks, self.size):
                self.cut_off += 1
                face = None
            if face is not None and self.portrait is None:
                self.portrait = image
                self.people = len(finder.find(image, config.min_eye_distance))
            points = None if face is None else flat(face.landmarks)
            yield AvatarFrame(encode_picture(image, ".jpg", JPEG), points, tracker.shot)


def flat(landmarks: Floats) -> Floats:
    """(468, 3) or (468, 2) -> (468, 2), read-only."""
    points: Floats = np.ascontiguousarray(landmarks[:, :2], np.float32)
    points.flags.writeable = False
    return points
