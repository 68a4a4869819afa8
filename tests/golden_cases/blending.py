"""Blending: the square around a face, its mask brought back, and the compositing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipstream.media.image import Box
from lipstream.rendering.musetalk.compositing import blend
from lipstream.rendering.musetalk.preprocess.masks import repaint_mask
from tests.golden_cases.comparing import Case, box_of, corners, label, near, not_compared, read_case
from tests.golden_cases.outcome import Outcome
from tests.golden_cases.parsing import cheeks

if TYPE_CHECKING:
    from lipstream.media.image import Image
    from lipstream.rendering.musetalk.preprocess.masks import Mask

FEATHER_OFFLINE = 0.05  # of the published offline script; the live script's is ours
LEVELS = 1  # of 255; what another build of OpenCV or Pillow may round differently
INPUTS = {"image_bgr", "face256_bgr", "box", "labels", "left_cheek_width", "right_cheek_width"}
GEOMETRY = {"face_bgr", "crop_box", "s", "roi"}


def check(path: Path) -> list[Outcome]:
    """Compare every array of one recording."""
    case = read_case(path)
    return check_tables(path, case) if "rows" in case else check_picture(path, case)


def check_tables(path: Path, case: Case) -> list[Outcome]:
    """The table of squares by box, and of blur kernels by the square's width."""
    name = label(path)
    column = {str(title): at for at, title in enumerate(case["columns"])}
    assert set(column) == {"x1", "y1", "x2", "y2", "expand", "cx1", "cy1", "cx2", "cy2", "s"}
    rows = case["rows"].astype(np.float64)
    squares = [
        blend.crop_square(
            box_of(row[[column[key] for key in ("x1", "y1", "x2", "y2")]]), row[column["expand"]]
        )
        for row in rows
    ]
    recorded = rows[:, [column[key] for key in ("cx1", "cy1", "cx2", "cy2")]]
    seen = [
        near(f"{name} cx1..cy2", [corners(square) for square in squares], recorded),
        near(f"{name} s", [square.width // 2 for square in squares], rows[:, column["s"]]),
    ]
    kernels = case["blur_kernel"].astype(np.int64)
    for at, title in enumerate(case["blur_kernel_columns"]):
        if feather := re.search(r"\(([\d.]+)\)", str(title)):
            sizes = [blend.blur_size(int(row[0]), float(feather[1])) for row in kernels]
            seen.append(near(f"{name} blur_kernel {title}", sizes, kernels[:, at]))
    known = {"columns", "rows", "blur_kernel", "blur_kernel_columns"}
    return seen + not_compared(path, case, known)


def check_picture(path: Path, case: Case) -> list[Outcome]:
    """One picture with one generated face, in every recorded mode."""
    name = label(path)
    box, image = box_of(case["box"]), case["image_bgr"].astype(np.uint8)
    square = blend.crop_square(box)
    region = square.clip(image.shape[1], image.shape[0])
    resized = blend.resize_face(case["face256_bgr"].astype(np.uint8), box)
    seen = [
        near(f"{name} crop_box", corners(square), case["crop_box"]),
        near(f"{name} s", square.width // 2, case["s"]),
        near(f"{name} roi", corners(region), case["roi"]),
        near(f"{name} face_bgr", resized, case["face_bgr"], LEVELS),
    ]
    known = INPUTS | GEOMETRY
    for mode in [key.removeprefix("mask512_") for key in case if key.startswith("mask512_")]:
        seen += check_mode(path, case, mode, box, square)
        known |= {f"mask512_{mode}", f"prepared_mask_{mode}"}
        known |= {f"blended_{mode}_roi", f"offline_{mode}_roi"}
    return seen + not_compared(path, case, known)


def check_mode(path: Path, case: Case, mode: str, box: Box, square: Box) -> list[Outcome]:
    """The mask and both ways of compositing, as far as they were recorded."""
    name, image = label(path), case["image_bgr"].astype(np.uint8)
    mask = repaint_mask(case["labels"].astype(np.uint8), mode, cheeks(case))
    live = blend.feathered_mask(mask, box, square, blend.FEATHER)
    offline = blend.feathered_mask(mask, box, square, FEATHER_OFFLINE)
    seen = [near(f"{name} mask512_{mode}", mask, case[f"mask512_{mode}"])]
    if f"prepared_mask_{mode}" in case:
        recorded = case[f"prepared_mask_{mode}"]
        seen.append(near(f"{name} prepared_mask_{mode}", live, recorded, LEVELS))
    for key, feathered in ((f"blended_{mode}_roi", live), (f"offline_{mode}_roi", offline)):
        if key in case:
            whole = composed(image, case["face_bgr"].astype(np.uint8), feathered, box, square)
            region = box_of(case["roi"])
            seen.append(near(f"{name} {key}", whole[region.slices], case[key], LEVELS))
            whole[region.slices] = image[region.slices]
            seen.append(near(f"{name} {key}, outside", whole, image))
    return seen


def composed(image: Image, face: Image, mask: Mask, box: Box, square: Box) -> Image:
    """The whole picture with the face blended in."""
    plan = blend.plan_blend(mask, box, square, (image.shape[1], image.shape[0]))
    patch, region = blend.blend(image, face, plan)
    whole = image.copy()
    whole[region.slices] = patch
    return whole
