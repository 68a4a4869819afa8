"""Measure how suitable a picture or clip is: figures, warnings, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from lipstream.avatar.avatar import QualityReport
from lipstream.avatar.face.landmarks import (
    FACE_OVAL,
    LIPS,
    eye_distance,
    face_height,
    mouth_width,
    roll,
    yaw,
)
from lipstream.avatar.face.openness import MAX_CLOSED, openness, parted
from lipstream.avatar.face.smoothing import jitter
from lipstream.avatar.framing import listed
from lipstream.config import AvatarConfig
from lipstream.errors import FaceError
from lipstream.media.image import Floats, Image
from lipstream.timeline import FPS

MAX_YAW = 0.35  # nose offset as a share of the eye distance; beyond, half of the mouth is hidden
GOOD_YAW = 0.20  # visibly turned: the far half of the mouth moves less well
GOOD_MOUTH_OPEN = 0.09  # gap over mouth width; the mesh reads up to 0.05 where lips touch
MAX_LEAN = 45.0  # degrees of roll; beyond, another side of the picture is meant to be up
CLOSABLE_MOUTH = 0.28  # up to here a still mouth closes without a distortion that is seen at once
MAX_MOUTH_OPEN = 0.45  # of a still picture: further open, no flow can close it
MIN_MOUTH_ROOM = 0.02  # around the lips as a share of the eye distance; with less they are cut off
MIN_TALKING = 0.02  # of a clip's frames with an open mouth; fewer are not worth a word
GOOD_ROOM = 0.08  # room around the face as a share of its height
GOOD_BRIGHTNESS = 60  # mean grey level of the face, 0 to 255
SHARP_FACE = 96  # pixels of eye distance at which sharpness is judged
GOOD_SHARPNESS = 4.0  # standard deviation of the Laplacian of the face, in grey levels
GOOD_JITTER = 0.010  # second difference over eye distance that is left after smoothing
GOOD_SECONDS = 2  # the ping-pong of a shorter clip is noticed
GOOD_FACES = 0.9  # share of a clip's frames


def measure_quality(
    size: tuple[int, int],
    measured: Sequence[Floats | None],
    track: Sequence[Floats | None],
    shots: Sequence[int],
    people: int,
    portrait: Image | None,
    config: AvatarConfig,
    places: Sequence[tuple[int, int]] = (),
    part: bool = False,
    fps: Fraction = FPS,
) -> QualityReport:
    """The report over all frames of a picture (one frame) or a clip.

    `measured` are the detected points, `track` the same filled and smoothed; `portrait` is the
    picture of the first frame with a face, `places` where its `people` are in the source. A `part`
    of a clip may be short, cut and without a face. `fps` are the frames per second of a clip.
    """
    faces = [points for points in track if points is not None]
    found = sum(points is not None for points in measured)
    filled = sum(b is not None and a is None for a, b in zip(measured, track, strict=True))
    resting = sum(a is not None and b is None for a, b in zip(measured, track, strict=True))
    report = QualityReport(
        width=size[0],
        height=size[1],
        frames=len(track),
        faces_found=found,
        faces_filled=filled,
        faces_lost=len(track) - len(faces),
        shots=len(set(shots)),
        people=people,
        eye_distance=_median(eye_distance, faces),
        face_height=_median(face_height, faces) / size[1],
        mouth_width=_median(mouth_width, faces),
        mouth_open=_median(openness, faces),
        roll=math.degrees(_median(roll, faces)),
        yaw=_median(yaw, faces),
        jitter=jitter(track, shots),
    )
    warnings = _shape_warnings(report, config, places) + _steadiness_warnings(report, resting)
    if not part:
        warnings += _repetition_warnings(report, fps) + loss_warnings(report)
    if faces:
        warnings += _mouth_warnings(report, track, shots) + _edge_warnings(size, faces)
    if portrait is not None:
        first = next(points for points in measured if points is not None)
        warnings += _light_warnings(portrait, first)
    return replace(report, warnings=tuple(warnings))


def shows_mouth(points: Floats, size: tuple[int, int]) -> bool:
    """Tell whether the lips lie inside a picture of `size`; the mesh guesses those that do not."""
    lips = points[list(LIPS), :2]
    room = min(float(lips.min()), float((np.asarray(size) - lips).min()))
    return room >= MIN_MOUTH_ROOM * eye_distance(points)


def check_usable(
    path: Path,
    report: QualityReport,
    config: AvatarConfig,
    cut_off: int = 0,
    covered: bool = False,
) -> None:
    """FaceError when no talking face can come of it.

    `cut_off` frames end above the mouth; `covered` when something hides it.
    """
    usable = report.frames - report.faces_lost
    if covered:
        raise FaceError(
            f"the mouth is covered in {path}, as by a mask; give a picture or clip that shows the "
            "whole face."
        )
    if report.faces_found == 0 and cut_off:
        raise FaceError(
            f"the mouth of the face in {path} is cut off by the edge of the picture; give one that "
            "shows the whole face."
        )
    if report.faces_found == 0:
        raise FaceError(
            f"no face was found in {path}; give a picture or clip that shows one face from the "
            "front, evenly lit, its mouth uncovered."
        )
    if usable * 2 < report.frames <= report.faces_found * 2:
        raise FaceError(
            f"{path} is cut into shots that are too short or too unsteady to follow a face; cut "
            "the clip to one longer, calmer shot."
        )
    if usable * 2 < report.frames:
        seen = max(usable, report.faces_found)
        raise FaceError(
            f"{path} shows a face in only {seen} of {report.frames} frames; cut the clip to the "
            "part in which the person faces the camera."
        )
    if report.eye_distance < config.min_eye_distance:
        raise FaceError(
            f"the face in {path} is too small: {report.eye_distance:.0f} pixels between the eyes' "
            f"outer corners where {config.min_eye_distance:.0f} are needed and "
            f"{config.good_eye_distance:.0f} look good; crop closer or give a larger picture."
        )
    if report.frames == 1 and report.mouth_open > MAX_MOUTH_OPEN:
        raise FaceError(
            f"the mouth in {path} is open too far to be closed between words; give a picture in "
            "which it is closed."
        )
    if abs(report.yaw) > MAX_YAW:
        raise FaceError(
            f"the face in {path} is turned too far to the side; give one that looks towards the "
            "camera."
        )


def _shape_warnings(
    report: QualityReport, config: AvatarConfig, places: Sequence[tuple[int, int]]
) -> list[str]:
    found = []
    if report.eye_distance < config.good_eye_distance:
        found.append(
            f"The face is small ({report.eye_distance:.0f} pixels between the eyes' outer "
            f"corners, {config.good_eye_distance:.0f} or more look good): the mouth will be soft."
        )
    if report.people > 1 and config.face is None:
        found.append(
            f"{report.people} faces were found: the largest is animated; --face chooses another: "
            f"{listed(places)}."
        )
    if abs(report.roll) > MAX_LEAN:
        how = "upside down" if abs(report.roll) > 180 - MAX_LEAN else "on its side"
        found.append(f"The face is {how}: --rotate auto turns the picture.")
    if abs(report.yaw) > GOOD_YAW:
        found.append("The head is turned to the side: a frontal face moves better.")
    return found


def _mouth_warnings(
    report: QualityReport, track: Sequence[Floats | None], shots: Sequence[int]
) -> list[str]:
    if report.frames == 1:
        if report.mouth_open > CLOSABLE_MOUTH:
            return [
                "The mouth is wide open: lips and chin are distorted where it is closed; give a "
                "picture in which it is closed."
            ]
        if report.mouth_open > GOOD_MOUTH_OPEN:
            return ["The mouth is open: it is closed between words; closed lips look better."]
        return []
    by_shot: dict[int, list[Floats]] = {}
    for points, shot in zip(track, shots, strict=True):
        if points is not None:
            by_shot.setdefault(shot, []).append(points)
    open_frames = sum(int(parted(frames).sum()) for frames in by_shot.values())
    if any(min(map(openness, frames)) > MAX_CLOSED for frames in by_shot.values()):
        return [
            "The mouth is never closed in this clip, or in one of its shots: it is closed by "
            "force; a clip in which the lips touch for a moment looks better."
        ]
    if open_frames > MIN_TALKING * report.frames:
        return [
            f"The mouth is open in {open_frames} of {report.frames} frames: there the lips of a "
            "closed frame are shown; a person who listens quietly looks better."
        ]
    return []


def loss_warnings(report: QualityReport) -> list[str]:
    """The warning about frames of a clip in which no face was seen, if they are many."""
    if report.frames == 1 or report.faces_found >= GOOD_FACES * report.frames:
        return []
    return [
        f"A face was seen in only {report.faces_found} of {report.frames} frames "
        f"({report.faces_filled} more were filled in): the mouth rests in the others."
    ]


def _repetition_warnings(report: QualityReport, fps: Fraction) -> list[str]:
    if report.frames == 1:
        return []
    found = []
    if report.frames < GOOD_SECONDS * fps:
        found.append(
            f"The clip has only {report.frames} frames: its repetition will be noticed, "
            "5 to 20 seconds are good."
        )
    if report.shots > 1:
        found.append(
            f"The clip is cut into {report.shots} shots: the picture will jump between them."
        )
    return found


def _steadiness_warnings(report: QualityReport, resting: int) -> list[str]:
    found = []
    if resting:
        found.append(
            f"{resting} frames belong to shots that are too short or too unsteady to follow a "
            "face: the mouth rests in them."
        )
    if report.jitter > GOOD_JITTER:
        found.append("The face is tracked unsteadily: a sharper or calmer clip looks better.")
    return found


def _edge_warnings(size: tuple[int, int], faces: Sequence[Floats]) -> list[str]:
    """Check all frames, as a head may wander out of the picture."""
    outlines = np.stack([points[list(FACE_OVAL), :2] for points in faces])
    height = _median(face_height, faces)
    room = min(float(outlines.min()), float((np.asarray(size) - outlines).min())) / max(height, 1.0)
    if room < 0:
        return ["The face is cut off by the edge of the picture: leave room around it."]
    if room < GOOD_ROOM:
        return ["The face is close to the edge of the picture: leave more room around it."]
    return []


def _light_warnings(portrait: Image, points: Floats) -> list[str]:
    grey = np.asarray(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY), np.uint8)
    scale = min(1.0, SHARP_FACE / max(eye_distance(points), 1.0))
    if scale < 1:
        # One size of face for all, or every large picture would seem blurred.
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        grey = np.asarray(small, np.uint8)
    mask = np.zeros(grey.shape, np.uint8)
    outline = np.round(points[list(FACE_OVAL), :2] * scale).astype(np.int32)
    cv2.fillConvexPoly(mask, outline, (255,))
    inside = mask > 0
    if not inside.any():
        return []
    found = []
    if float(grey[inside].mean()) < GOOD_BRIGHTNESS:
        found.append("The face is dark: more light looks better.")
    contrast = max(float(grey[inside].std()), 1.0) / 40  # of a normally lit face
    detail = float(cv2.Laplacian(grey, cv2.CV_32F)[inside].std()) / min(contrast, 1.0)
    if detail < GOOD_SHARPNESS:
        found.append("The face is blurred: a sharper picture looks better.")
    return found


def _median(measure: Callable[[Floats], float], faces: Sequence[Floats]) -> float:
    return float(np.median([measure(points) for points in faces])) if faces else 0.0
