"""From a picture or a video clip to an avatar that is ready to talk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from lipstream.avatar.avatar import Avatar, AvatarFrame, encode_picture
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.face.smoothing import fill_gaps, smooth
from lipstream.avatar.face.tracker import FaceTracker
from lipstream.avatar.picture import read_picture
from lipstream.avatar.quality import check_usable, measure_quality, shows_mouth
from lipstream.avatar.storage import is_avatar, load_avatar
from lipstream.config import AvatarConfig, Progress
from lipstream.errors import PictureError
from lipstream.media.image import Floats, Image
from lipstream.media.input_path import opened
from lipstream.media.picture_file import picture_kind
from lipstream.timeline import FPS

PREPARATION = 3  # raise it when the same file and settings would give another avatar
# Settings that change the result: faces below the least eye distance are not found.
DIGEST_FIELDS = ("max_side", "background", "min_eye_distance", "good_eye_distance")
# At 97 without colour subsampling a clip's pictures are visually lossless and a twentieth the size.
JPEG = (
    *(cv2.IMWRITE_JPEG_QUALITY, 97),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)


def open_avatar(
    path: str | Path, config: AvatarConfig | None = None, progress: Progress | None = None
) -> Avatar:
    """Load an .avatar file; prepare a picture or a clip."""
    path = Path(path)
    return load_avatar(path) if is_avatar(path) else build_avatar(path, config, progress)


def build_avatar(
    path: str | Path, config: AvatarConfig | None = None, progress: Progress | None = None
) -> Avatar:
    """Prepare a picture or a video clip; its content decides which it is.

    `PictureError` when the file cannot be read, `FaceError` when it shows no face that can talk.
    """
    path, config = Path(path), config or AvatarConfig()
    with opened(path, PictureError):
        pass
    if picture_kind(path) == "still":
        avatar = _from_picture(path, read_picture(path, config), config)
        if progress is not None:
            progress(1, 1)
        return avatar
    return _from_clip(path, config, progress)


def _from_picture(path: Path, image: Image, config: AvatarConfig) -> Avatar:
    faces = FaceFinder().find(image)
    size = (image.shape[1], image.shape[0])
    whole = [face for face in faces if shows_mouth(face.landmarks, size)]
    points = _flat(whole[0].landmarks) if whole else None
    portrait = image if whole else None
    report = measure_quality(size, [points], [points], [0], len(faces), portrait, config)
    check_usable(path, report, config, cut_off=len(faces) - len(whole))
    image.flags.writeable = False
    return Avatar((AvatarFrame(image, points),), False, digest(path, config), report)


def _from_clip(path: Path, config: AvatarConfig, progress: Progress | None) -> Avatar:
    """Measure the pictures, of which one is decoded at a time, then smooth their landmarks."""
    from lipstream.media.video_reader import read_clip

    finder = FaceFinder()
    tracker = FaceTracker(finder, config.min_eye_distance)
    frames: list[AvatarFrame] = []
    size = (0, 0)
    portrait: Image | None = None  # the first picture that shows the face
    people = 0  # in that picture
    cut_off = 0  # frames whose face ends above the mouth: they count as faceless
    for image in read_clip(
        path, FPS, config.max_side, config.max_seconds, config.max_pixels, config.background
    ):
        size = (image.shape[1], image.shape[0])
        face = tracker.update(image)
        if face is not None and not shows_mouth(face.landmarks, size):
            cut_off += 1
            face = None
        if face is not None and portrait is None:
            portrait, people = image, len(finder.find(image, config.min_eye_distance))
        points = _flat(None if face is None else face.landmarks)
        frames.append(AvatarFrame(encode_picture(image, ".jpg", JPEG), points, tracker.shot))
        if progress is not None:
            progress(len(frames), None)
    if len(frames) == 1:
        # A film of one picture has no motion of its own.
        return _from_picture(path, image, config)
    shots = [frame.shot for frame in frames]
    measured = [frame.landmarks for frame in frames]
    track = smooth(fill_gaps(measured, shots), shots)
    report = measure_quality(size, measured, track, shots, people, portrait, config)
    check_usable(path, report, config, cut_off)
    smoothed = tuple(
        AvatarFrame(frame.source, _flat(points), frame.shot)
        for frame, points in zip(frames, track, strict=True)
    )
    return Avatar(smoothed, True, digest(path, config), report)


def digest(path: Path, config: AvatarConfig) -> str:
    """SHA-256, hex, of a file's content and of the settings that decide what comes of it."""
    settings = {name: value for name, value in asdict(config).items() if name in DIGEST_FIELDS}
    settings["preparation"] = PREPARATION
    state = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    with opened(path, PictureError) as file:
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def _flat(landmarks: Floats | None) -> Floats | None:
    """(468, 3) or (468, 2) -> (468, 2), read-only; None stays None."""
    if landmarks is None:
        return None
    points: Floats = np.ascontiguousarray(landmarks[:, :2], np.float32)
    points.flags.writeable = False
    return points
