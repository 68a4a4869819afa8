"""From a picture or a video clip to an avatar that is ready to talk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

from lipstream.avatar.avatar import Avatar, AvatarFrame
from lipstream.avatar.face.choice import choose
from lipstream.avatar.face.cover import is_mouth_covered
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.framing import Framing, find_framing, no_such_face, source_side
from lipstream.avatar.measured_clip import MeasuredClip, flat, steady_track, with_landmarks
from lipstream.avatar.picture import read_picture
from lipstream.avatar.quality import check_usable, measure_quality, shows_mouth
from lipstream.avatar.storage import is_avatar, load_avatar
from lipstream.config import AvatarConfig, Progress
from lipstream.errors import PictureError
from lipstream.media.image import Image
from lipstream.media.input_path import opened
from lipstream.media.pictures.picture_file import picture_kind
from lipstream.rendering.opencv_threads import one_thread_per_picture
from lipstream.timeline import FPS

PREPARATION = 3  # raise it when the same file and settings would give another avatar
# Settings that change the result: faces below the least eye distance are not found.
DIGEST_FIELDS = (
    *("max_side", "background", "min_eye_distance", "good_eye_distance", "face", "rotate"),
)


def open_avatar(
    path: str | Path,
    config: AvatarConfig | None = None,
    progress: Progress | None = None,
    fps: Fraction = FPS,
) -> Avatar:
    """Load an .avatar file; prepare a picture or a clip as `build_avatar` does."""
    path = Path(path)
    return load_avatar(path) if is_avatar(path) else build_avatar(path, config, progress, fps)


def build_avatar(
    path: str | Path,
    config: AvatarConfig | None = None,
    progress: Progress | None = None,
    fps: Fraction = FPS,
) -> Avatar:
    """Prepare a picture or a video clip; its content decides which it is.

    Of a clip `fps` frames per second are kept: those of the streams in which it will be shown.
    `PictureError` when the file cannot be read, `FaceError` when it shows no face that can talk.
    """
    path, config = Path(path), config or AvatarConfig()
    with opened(path, PictureError):
        pass
    with one_thread_per_picture():
        if picture_kind(path) != "still":
            return _from_clip(path, config, progress, fps)
        avatar = _from_picture(path, read_picture(path, config), config)
    if progress is not None:
        progress(1, 1)
    return avatar


def is_clip(path: Path) -> bool:
    """Tell by its content whether a file is a clip: neither a picture nor a prepared avatar."""
    if is_avatar(path):
        return False
    with opened(path, PictureError):
        pass
    return picture_kind(path) != "still"


def _from_picture(path: Path, image: Image, config: AvatarConfig) -> Avatar:
    finder = FaceFinder()
    side = source_side(path)
    framing = find_framing(image, side, config, finder)
    if framing is None:  # without a face nothing tells how to turn it
        framing = Framing.of(image, side, config.face, 0)
    image = framing.apply(image)
    size, choice = framing.size, framing.choice
    search = finder.search(image, thorough=choice is not None)
    faces, places = search.faces, framing.places(search.faces)
    chosen = faces if choice is None else [face for face in [choose(faces, choice)] if face]
    if faces and not chosen:
        raise no_such_face(path, config, places)
    whole = [face for face in chosen if shows_mouth(face.landmarks, size)]
    # A face is no certain one without its mouth.
    halves = [face for face in chosen or search.doubtful if not shows_mouth(face.landmarks, size)]
    # Nor is it always one when its mouth is hidden, though sometimes it is.
    mouths = whole[:1] if faces else [face for face in search.doubtful if face not in halves]
    covered = any(is_mouth_covered(image, face.landmarks) for face in mouths)
    points = flat(whole[0].landmarks) if whole else None
    portrait = image if whole else None
    report = measure_quality(size, [points], [points], [0], len(faces), portrait, config, places)
    check_usable(path, report, config, len(halves), covered)
    image.flags.writeable = False
    return Avatar((AvatarFrame(image, points),), False, digest(path, config), report)


def _from_clip(
    path: Path, config: AvatarConfig, progress: Progress | None, fps: Fraction
) -> Avatar:
    """Measure the pictures, then smooth their landmarks."""
    clip = MeasuredClip(path, config, fps, config.max_seconds)
    frames: list[AvatarFrame] = []
    for frame in clip:
        frames.append(frame)
        if progress is not None:
            progress(len(frames), None)
    if len(frames) == 1 and clip.last is not None:
        # A film of one picture has no motion of its own.
        return _from_picture(path, clip.last, config)
    shots = [frame.shot for frame in frames]
    measured = [frame.landmarks for frame in frames]
    track = steady_track(frames, fps)
    places = clip.places
    if clip.missed:
        raise no_such_face(path, config, places)
    report = measure_quality(
        clip.size, measured, track, shots, len(places), clip.portrait, config, places, fps=fps
    )
    check_usable(path, report, config, clip.cut_off, _is_covered_throughout(frames))
    smoothed = with_landmarks(frames, track)
    return Avatar(smoothed, True, digest(path, config, fps), report, fps=fps)


def _is_covered_throughout(frames: Sequence[AvatarFrame]) -> bool:
    """Tell whether the mouth is covered at the beginning, in the middle and at the end."""
    seen = [frame for frame in frames if frame.landmarks is not None]
    looks = [seen[0], seen[len(seen) // 2], seen[-1]] if seen else []
    return bool(looks) and all(
        frame.landmarks is not None and is_mouth_covered(frame.pixels, frame.landmarks)
        for frame in looks
    )


def digest(path: Path, config: AvatarConfig, fps: Fraction = FPS) -> str:
    """SHA-256, hex, of a file's content and of the settings that decide what comes of it."""
    settings = {name: value for name, value in asdict(config).items() if name in DIGEST_FIELDS}
    if fps != FPS:
        settings["fps"] = str(fps)
    settings["preparation"] = PREPARATION
    state = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    with opened(path, PictureError) as file:
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()
