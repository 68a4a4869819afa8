"""The comparison with recordings notices a change in any recorded array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.golden_cases import bbox, blending, cycle, parsing
from tests.golden_cases.comparing import read_case

GOLDEN = Path(__file__).parents[3] / "golden"
CHECKS = {"bbox": bbox, "blending": blending, "cycle": cycle, "parsing": parsing}
CASES = (
    "bbox/bbox",
    "bbox/sequence_missing_face",
    "blending/crop_box",
    "blending/blend_320x240_150_100_163_119",
    "cycle/cycle",
    "parsing/post_seed703_l40_r120",
)
# Inputs, and titles of inputs: a change of these need not be noticed.
GIVEN = {
    *("landmarks", "detector_bbox", "detector_found", "frame_wh", "bbox_shift", "label"),
    *("image_bgr", "face256_bgr", "box", "labels", "left_cheek_width", "right_cheek_width"),
    *("columns", "blur_kernel_columns"),
}


def changed(array: np.ndarray) -> np.ndarray:
    """The array with its last value another one."""
    other = array.copy()
    last = (-1,) * array.ndim
    if array.dtype.kind == "U":
        other[last] = str(array[last])[::-1] or "Error"
    elif array.dtype.kind == "b":
        other[last] = not array[last]
    else:
        other[last] = array[last] - 9 if array[last] > 100 else array[last] + 9
    return other


@pytest.mark.parametrize("name", CASES)
def test_a_change_in_any_recorded_array_fails(name: str, tmp_path: Path) -> None:
    kind, stem = name.split("/")
    case = dict(read_case(GOLDEN / kind / f"{stem}.npz"))
    path = tmp_path / kind / f"{stem}.npz"
    path.parent.mkdir()
    for array in set(case) - GIVEN:
        np.savez(path, **{**case, array: changed(case[array])})  # type: ignore[arg-type]
        assert not all(outcome.passed for outcome in CHECKS[kind].check(path)), array
    np.savez(path, **case, unheard_of=np.zeros(3))  # type: ignore[arg-type]
    assert not all(outcome.passed for outcome in CHECKS[kind].check(path))
