"""Every published layout of a folder of weights is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipstream.errors import OptionError
from lipstream.rendering.musetalk.weights.layout import (
    find_landmarks,
    find_layout,
    find_layouts,
    find_parser,
    unread_landmarks,
)
from lipstream.rendering.musetalk.weights.loader import load_checkpoint
from tests.rendering.musetalk.weights.conftest import UNET
from tests.tiny_models import write_models


def test_the_newer_version_is_preferred(models: Path) -> None:
    write_models(models, "v1")
    assert find_layout(models).version == "v15"
    assert load_checkpoint(models, "v1").version == "v1"
    assert [layout.version for layout in find_layouts(models)] == ["v15", "v1"]
    (models / UNET).unlink()
    assert load_checkpoint(models).version == "v1"
    with pytest.raises(OptionError, match="there is no MuseTalk 'v2'; use v15 or v1"):
        find_layout(models, "v2")


def test_both_spellings_of_folders_are_found(models: Path) -> None:
    (models / "sd-vae-ft-mse").rename(models / "sd-vae")
    load_checkpoint(models)
    for folder, name in (
        ("face-parse-bisent", "79999_iter.pth"),
        ("face-parse-bisenet", "model.pth"),
    ):
        assert find_parser(models) is None or folder == "face-parse-bisenet"
        (models / folder).mkdir()
        (models / folder / name).touch()
        assert find_parser(models) == models / folder / name
    assert find_landmarks(models) is None
    (models / "dwpose").mkdir()
    (models / "dwpose" / "dw-ll_ucoco_384.onnx").touch()
    assert find_landmarks(models) == models / "dwpose" / "dw-ll_ucoco_384.onnx"


def test_landmarks_in_the_format_of_another_program_are_named(models: Path) -> None:
    assert unread_landmarks(models) is None
    (models / "dwpose").mkdir()
    path = models / "dwpose" / "dw-ll_ucoco_384.pth"
    path.touch()
    assert unread_landmarks(models) == (
        f"{path} is not read, lipstream needs the .onnx: run 'lipstream models pull musetalk "
        "--with dwpose'; until then the built-in landmarks are used."
    )
    path.with_suffix(".onnx").touch()
    assert unread_landmarks(models) is None
