"""Face parsing: the network's input, logits and labels, and the masks made from labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from lipstream.rendering.musetalk.models.bisenet import BiSeNet, FaceParser, parser_input
from lipstream.rendering.musetalk.preprocess import masks
from tests.golden_cases.comparing import Case, label, near, not_compared, read_case
from tests.golden_cases.filling import built
from tests.golden_cases.outcome import Outcome

HEADS = ("logits_sub", "logits16_sub", "logits32_sub")
LOGITS = 1e-4  # allowed at a scale of 1.9, larger logits in proportion
SCALE = 1.9
LABELS = 5e-4  # share of pixels that may have another label
CHEEKS = (80, 80)  # upstream's default, where a recording names none


def check(path: Path) -> list[Outcome]:
    """Compare every array of one recording."""
    case = read_case(path)
    seen = check_masks(path, case)
    known = {"labels", "left_cheek_width", "right_cheek_width", *mask_names(case)}
    if "image_bgr" in case:
        seen += check_network(path, case)
        known |= {"image_bgr", "seed", "gain", "input_sub", *HEADS}
    if {"dilate_kernel", "cheek_kernel", "cheek_mask"} & set(case):
        seen += check_kernels(path, case)
        known |= {"dilate_kernel", "cheek_kernel", "cheek_mask"}
    return seen + not_compared(path, case, known)


def check_masks(path: Path, case: Case) -> list[Outcome]:
    """The masks of every mode, from the recorded labels."""
    labels = case["labels"].astype(np.uint8)
    return [
        near(
            f"{label(path)} {name}",
            masks.repaint_mask(labels, name.removeprefix("mask_"), cheeks(case)),
            case[name],
        )
        for name in mask_names(case)
    ]


def check_kernels(path: Path, case: Case) -> list[Outcome]:
    ours = {
        "dilate_kernel": masks.dilate_kernel(),
        "cheek_kernel": masks.cheek_kernel(),
        "cheek_mask": masks.cheek_mask(cheeks(case)),
    }
    return [near(f"{label(path)} {name}", ours[name], case[name]) for name in ours]


def check_network(path: Path, case: Case) -> list[Outcome]:
    """The network's input, the logits of its heads, and the labels that follow."""
    name = label(path)
    image = np.ascontiguousarray(case["image_bgr"][:, :, ::-1]).astype(np.uint8)
    network = filled(path.parents[1] / "manifests" / "bisenet.json", float(case["gain"]))
    given = parser_input(image)
    with torch.inference_mode():
        fine, context, coarse = network.cp(torch.from_numpy(given))
        heads = (
            network.conv_out(network.ffm(fine, context), torch.Size(given.shape[2:])),
            network.conv_out16(context, torch.Size(given.shape[2:])),
            network.conv_out32(coarse, torch.Size(given.shape[2:])),
        )
    seen = [near(f"{name} input_sub", given[strided(given, case["input_sub"])], case["input_sub"])]
    for key, logits in zip(HEADS, heads, strict=True):
        if key in case:
            recorded = case[key]
            ours = logits.numpy()[strided(logits.numpy(), recorded)]
            limit = LOGITS * max(1.0, float(np.abs(recorded).max()) / SCALE)
            seen.append(near(f"{name} {key}", ours, recorded, limit))
    other = float((FaceParser(network)(image) != case["labels"]).mean())
    return [*seen, Outcome(f"{name} labels", other, LABELS)]


def filled(manifest: Path, gain: float) -> BiSeNet:
    """The network with the recording's synthetic weights, loaded strictly by the manifest."""
    return built(BiSeNet, manifest, gain)


def strided(whole: np.ndarray, recorded: np.ndarray) -> tuple[slice, ...]:
    """The index that takes every so many rows and columns, as the recording did."""
    rows, columns = (whole.shape[axis] // recorded.shape[axis] for axis in (2, 3))
    return slice(None), slice(None), slice(None, None, rows), slice(None, None, columns)


def mask_names(case: Case) -> list[str]:
    return [name for name in case if name.startswith("mask_")]


def cheeks(case: Case) -> tuple[int, int]:
    if "left_cheek_width" not in case:
        return CHEEKS
    return int(case["left_cheek_width"]), int(case["right_cheek_width"])
