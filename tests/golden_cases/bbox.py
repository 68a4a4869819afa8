"""Face boxes from 68 landmarks and the box of the detector."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipstream.media.image import Box
from lipstream.rendering.musetalk.preprocess.face_box import MIDDLE, face_box, with_margin
from tests.golden_cases.comparing import Case, box_of, corners, label, near, not_compared, read_case
from tests.golden_cases.outcome import Outcome

INPUTS = {"landmarks", "detector_bbox", "detector_found", "frame_wh", "bbox_shift", "label"}
NO_FACE = "no face in any frame: upstream divides by zero, ours raises FaceError"


def check(path: Path) -> list[Outcome]:
    """Compare every array of one recording."""
    name, case = label(path), read_case(path)
    found = faces_found(case)
    boxes = our_boxes(case, found)
    seen = [
        near(f"{name} bbox[{row}] {title(case, row)}".rstrip(), corners(box), case["bbox"][row])
        for row, box in enumerate(boxes)
    ]
    known = INPUTS | {"bbox", "is_placeholder", "error_single_frame", "range_text"}
    for key in case:
        if margin := re.fullmatch(r"y2_v15_margin(\d+)", key):
            lowest = [
                0 if box is None else with_margin(box, int(margin[1]), int(height)).bottom
                for box, height in zip(boxes, case["frame_wh"][:, 1], strict=True)
            ]
            seen.append(near(f"{name} {key}", lowest, case[key]))
            known |= {key}
    if "is_placeholder" in case:
        seen.append(
            near(f"{name} is_placeholder", [box is None for box in boxes], case["is_placeholder"])
        )
    if "error_single_frame" in case:
        seen += check_errors(name, case, found)
    if "range_text" in case:
        seen.append(near(f"{name} range_text", range_text(case, found), case["range_text"]))
    return seen + not_compared(path, case, known)


def faces_found(case: Case) -> list[bool]:
    if "detector_found" in case:
        return [bool(found) for found in case["detector_found"]]
    return [int(row[0]) >= 0 for row in case["detector_bbox"]]


def our_boxes(case: Case, found: list[bool]) -> list[Box | None]:
    """Our box per row, None where the detector saw no face."""
    points: Any = case["landmarks"]
    shifts = np.broadcast_to(case["bbox_shift"], len(points))
    return [
        face_box(points[row], box_of(case["detector_bbox"][row]), int(shifts[row]))
        if found[row]
        else None
        for row in range(len(points))
    ]


def check_errors(name: str, case: Case, found: list[bool]) -> list[Outcome]:
    """Upstream crashes on a frame alone exactly when there is no face to measure."""
    errors = [str(error) for error in case["error_single_frame"]]
    landmarks: Any = case["landmarks"]
    ours = [
        shift_range([points] if face else []) is None
        for points, face in zip(landmarks, found, strict=True)
    ]
    seen = [near(f"{name} error_single_frame", ours, [bool(error) for error in errors])]
    for row, error in enumerate(errors):
        if error:
            intended = NO_FACE if ours[row] else ""
            seen.append(Outcome(f"{name} error_single_frame[{row}] {error}", 1, 0, intended))
    return seen


def range_text(case: Case, found: list[bool]) -> str:
    """The published hint on the shift, made from our numbers."""
    points: Any = case["landmarks"]
    reach = shift_range([face for face, is_face in zip(points, found, strict=True) if is_face])
    up, down = reach if reach is not None else (0, 0)
    return (
        f"Total frame:「{len(points)}」 Manually adjust range : [ -{up}~{down} ] , "
        f"the current value: {int(case['bbox_shift'])}"
    )


def shift_range(faces: list[NDArray[np.generic]]) -> tuple[int, int] | None:
    """Upstream's range of the shift, up and down, before the middle leaves the bridge of the nose.

    `faces` are (68, 2) landmarks; None without a face, where upstream divides by zero.
    """
    if not faces:
        return None
    heights = np.stack(faces).astype(np.int32)[:, :, 1]
    up = int((heights[:, MIDDLE + 1] - heights[:, MIDDLE]).sum() / len(faces))
    down = int((heights[:, MIDDLE] - heights[:, MIDDLE - 1]).sum() / len(faces))
    return up, down


def title(case: Case, row: int) -> str:
    return f"({case['label'][row]})" if "label" in case else ""
