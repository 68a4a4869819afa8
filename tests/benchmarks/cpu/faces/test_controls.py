"""Faults painted into good frames: each must be seen by the figure that is there for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from benchmarks.cpu.faces import drawn, judge, openings
from benchmarks.cpu.faces.closure import parted
from benchmarks.cpu.faces.drawn import Part
from benchmarks.cpu.faces.light import OPAQUE, chroma, light_of, teeth
from benchmarks.cpu.faces.lines import LineFinder
from benchmarks.cpu.faces.performance import POSES, Performance, pose_rows
from benchmarks.cpu.faces.strips import MOUTH, NOSE, Strips
from lipstream.avatar.face import landmarks as lm
from lipstream.score.sharpness import boxes, sharpness_ratio

if TYPE_CHECKING:
    from lipstream.media.image import Image

EXAMPLES = Path(__file__).parents[4] / "examples"
REST, SOFT, MEDIUM, WIDEST = range(len(POSES))


@pytest.fixture(scope="module")
def poses(tmp_path_factory: pytest.TempPathFactory) -> Part:
    """The four poses of the bundled portrait, as the command draws them."""
    rows = pose_rows()
    performance = Performance(rows, rows, rows, ())
    folder = tmp_path_factory.mktemp("faces") / "portrait"
    return drawn.draw(EXAMPLES / "portrait_closed.png", performance, ["poses"], folder).part(
        "poses"
    )


def with_frame(part: Part, index: int, frame: Image) -> Part:
    frames = np.array(part.frames)
    frames[index] = frame
    return replace(part, frames=frames)


def chin_row(part: Part) -> int:
    """Halfway between lower lip and chin."""
    points = part.points[0]
    return int((points[lm.LOWER_LIP_BOTTOM, 1] + points[lm.CHIN, 1]) / 2)


def test_the_inside_is_found_and_grows_with_the_pose(poses: Part) -> None:
    heights = openings.by_geometry(poses)
    assert heights[REST] == 0
    assert 0 < heights[SOFT] < heights[MEDIUM] < heights[WIDEST]


def test_lips_that_do_not_meet_are_seen(poses: Part) -> None:
    points = poses.points[0]
    assert not parted(poses.frames[REST], points)
    assert parted(poses.frames[MEDIUM], points)


def test_whitened_teeth_are_too_bright(poses: Part) -> None:
    limit = light_of(poses.source(0), poses.points[0]).brightest_tooth
    frame = np.array(poses.frames[MEDIUM])
    frame[poses.inside[MEDIUM] >= OPAQUE] = 255
    found = teeth(frame, poses.inside[MEDIUM])
    assert found is not None and found > limit


def test_no_teeth_are_judged_in_a_shut_mouth(poses: Part) -> None:
    assert teeth(poses.frames[REST], poses.inside[REST]) is None


def test_a_red_mouth_in_a_grey_picture_is_seen(poses: Part) -> None:
    grey = np.array(poses.frames[WIDEST])
    grey[:] = cv2.cvtColor(grey, cv2.COLOR_RGB2GRAY)[..., None]
    inside = poses.inside[WIDEST]
    assert light_of(grey, poses.points[0]).skin_chroma == 0
    assert chroma(grey, inside) == 0
    grey[inside >= OPAQUE, 0] = np.clip(grey[inside >= OPAQUE, 0].astype(int) + 20, 0, 255)
    found = chroma(grey, inside)
    assert found is not None and found > judge.MAX_CHROMA


def test_eyes_in_shadow_tell_nothing_of_teeth(poses: Part) -> None:
    points, image = poses.points[0], poses.source(0).copy()
    assert light_of(image, points).eye_white is not None
    for lids in lm.EYES:
        outline = points[list(lids[0]) + list(lids[1])]
        (x0, y0), (x1, y1) = outline.min(0).astype(int), outline.max(0).astype(int) + 1
        image[y0:y1, x0:x1] //= 3
    light = light_of(image, points)
    assert light.eye_white is None
    assert light.brightest_tooth == pytest.approx(1.25 * light.skin)


def test_a_blurred_mouth_in_a_sharp_face_is_seen(poses: Part) -> None:
    # The photograph was enlarged once and is soft itself; at half its size it is sharp.
    points = poses.points[0] / 2
    frame = np.asarray(cv2.resize(poses.frames[MEDIUM], None, fx=0.5, fy=0.5), np.uint8)
    assert judge.MIN_SHARPNESS <= sharpness_ratio(frame, points) <= judge.MAX_SHARPNESS
    mouth = boxes(points, (frame.shape[0], frame.shape[1]))[0]
    soft = cv2.GaussianBlur(frame, (0, 0), 2.0)
    rows, columns = slice(mouth.top - 6, None), slice(mouth.left - 6, mouth.right + 6)
    frame[rows, columns] = soft[rows, columns]
    assert sharpness_ratio(frame, points) < judge.MIN_SHARPNESS


def test_hard_teeth_in_a_blurred_face_are_seen(poses: Part) -> None:
    points = poses.points[0]
    frame = np.asarray(cv2.GaussianBlur(np.array(poses.frames[MEDIUM]), (0, 0), 2.0), np.uint8)
    assert sharpness_ratio(frame, points) <= judge.MAX_SHARPNESS
    frame[poses.inside[MEDIUM] >= OPAQUE] = 235
    assert sharpness_ratio(frame, points) > judge.MAX_SHARPNESS


def test_good_frames_have_one_mouth(poses: Part) -> None:
    finder = LineFinder(poses)
    found = [finder.look(index, jaw) for index, jaw in ((REST, 0.0), (MEDIUM, 0.5), (WIDEST, 1.0))]
    assert not any(lines.doubled or lines.lost for lines in found)


def test_a_second_lip_line_in_the_chin_is_seen(poses: Part) -> None:
    frame, points = np.array(poses.frames[REST]), poses.points[0]
    row, (left, right) = chin_row(poses), points[[lm.MOUTH_RIGHT, lm.MOUTH_LEFT], 0].astype(int)
    line = frame.astype(np.float32)
    for y, depth in ((row - 1, 0.85), (row, 0.7), (row + 1, 0.85)):
        line[y, left:right] *= depth
    assert LineFinder(with_frame(poses, REST, line.astype(np.uint8))).look(REST, 0.0).doubled


def test_lips_that_are_painted_over_are_lost(poses: Part) -> None:
    frame, points = np.array(poses.frames[REST]), poses.points[0]
    top, bottom = int(points[lm.UPPER_LIP_TOP, 1]) - 6, int(points[lm.LOWER_LIP_BOTTOM, 1]) + 6
    left, right = points[[lm.MOUTH_RIGHT, lm.MOUTH_LEFT], 0].astype(int)
    share = np.linspace(0, 1, bottom - top)[:, None, None]
    skin = frame[top - 1, left:right] * (1 - share) + frame[bottom, left:right] * share
    frame[top:bottom, left:right] = skin.astype(np.uint8)
    assert LineFinder(with_frame(poses, REST, frame)).look(REST, 0.0).lost


def test_a_mouth_that_quivers_in_silence_moves_more_than_the_nose(poses: Part) -> None:
    calm = replace(poses, frames=np.repeat(poses.frames[:1], 4, axis=0))
    restless = replace(poses, frames=np.array(poses.frames)[[REST, MEDIUM, REST, MEDIUM]])
    assert Strips.of(calm).motion(MOUTH, sources=False) == 0
    assert Strips.of(restless).motion(NOSE, sources=False) < judge.MOTION_ROOM
    assert Strips.of(restless).motion(MOUTH, sources=False) > 3 * judge.MOTION_ROOM


def test_a_refusal_is_told(tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((200, 200, 3), 127, np.uint8))
    rows = pose_rows()
    found = drawn.draw(blank, Performance(rows, rows, rows, ()), ["poses"], tmp_path / "blank")
    assert found.refused is not None and "no face" in found.refused
