"""The frames of a clip with the face that was found in each, one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from lipstream.avatar.avatar import AvatarFrame, encode_picture
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.face.smoothing import fill_gaps, smooth
from lipstream.avatar.face.steadiness import without_unsteady_shots
from lipstream.avatar.face.tracker import FaceTracker
from lipstream.avatar.framing import Framing, find_framing, source_side
from lipstream.avatar.quality import shows_mouth
from lipstream.config import AvatarConfig
from lipstream.media.image import Floats, Image

# At 97 without colour subsampling a clip's pictures are visually lossless and a twentieth the size.
JPEG = (
    *(cv2.IMWRITE_JPEG_QUALITY, 97),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)
MAX_FACELESS, FACELESS_STEP = 60, 5  # searches for a face to set upright; frames between them


class MeasuredClip:
    """Iterating it, once, decodes a clip, of which it holds one picture at a time.

    The landmarks of its frames are as they were measured: neither filled nor smoothed.
    """

    def __init__(self, path: Path, config: AvatarConfig, fps: Fraction, max_seconds: float) -> None:
        self.path, self.fps = path, fps
        self._config, self._max_seconds = config, max_seconds
        self.size = (0, 0)  # (width, height)
        self.portrait: Image | None = None  # the first picture that shows the face
        self.places: tuple[tuple[int, int], ...] = ()  # of the faces in it, pixels of the source
        self.cut_off = 0  # frames whose face ends above the mouth: they count as faceless
        self.missed = False  # none of the faces seen so far is the one chosen
        self.last: Image | None = None  # the picture read last, not turned

    def __iter__(self) -> Iterator[AvatarFrame]:
        """Raises PictureError as `read_clip` does, also on the way."""
        config, finder = self._config, FaceFinder()
        framing = self._find_framing(finder)
        tracker = FaceTracker(finder, config.min_eye_distance, framing.choice)
        for picture in self._pictures():
            image = framing.apply(picture)
            self.size, self.last = framing.size, picture
            face = tracker.update(image)
            if face is None and self.portrait is None and tracker.others:
                self.missed, self.places = True, framing.places(tracker.others)
            if face is not None and not shows_mouth(face.landmarks, self.size):
                self.cut_off += 1
                face = None
            if face is not None and self.portrait is None:
                self.portrait, self.missed = image, False
                self.places = framing.places(finder.find(image, config.min_eye_distance))
            points = None if face is None else flat(face.landmarks)
            yield AvatarFrame(encode_picture(image, ".jpg", JPEG), points, tracker.shot)

    def _pictures(self) -> Iterator[Image]:
        from lipstream.media.video_reader import read_clip

        config = self._config
        return read_clip(
            self.path,
            self.fps,
            config.max_side,
            self._max_seconds,
            config.max_pixels,
            config.background,
        )

    def _find_framing(self, finder: FaceFinder) -> Framing:
        """By the first picture that shows the face, or by the first one where none does."""
        config, side = self._config, source_side(self.path)
        pictures = self._pictures()
        first = next(pictures)
        last = FACELESS_STEP * MAX_FACELESS
        others = itertools.islice(pictures, FACELESS_STEP - 1, last, FACELESS_STEP)
        for picture in itertools.chain([first], others):
            framing = find_framing(picture, side, config, finder)
            if framing is not None:
                return framing
        return Framing.of(first, side, config.face, 0)


def steady_track(frames: Sequence[AvatarFrame], fps: Fraction) -> list[Floats | None]:
    """The landmarks of a clip's frames, filled and smoothed; None in shots that shall rest."""
    shots = [frame.shot for frame in frames]
    kept = without_unsteady_shots([frame.landmarks for frame in frames], shots, fps)
    return smooth(fill_gaps(kept, shots), shots)


def with_landmarks(
    frames: Sequence[AvatarFrame], track: Sequence[Floats | None]
) -> tuple[AvatarFrame, ...]:
    """The frames with the landmarks of `track`."""
    return tuple(
        replace(frame, landmarks=None if points is None else flat(points))
        for frame, points in zip(frames, track, strict=True)
    )


def flat(landmarks: Floats) -> Floats:
    """(468, 3) or (468, 2) -> (468, 2), read-only."""
    points: Floats = np.ascontiguousarray(landmarks[:, :2], np.float32)
    points.flags.writeable = False
    return points
