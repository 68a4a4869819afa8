"""Settings are checked when they are made, and the sentence names the field and its choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from lipstream import config
from lipstream.config import AvatarConfig, Mp4Config, MuseTalkConfig, RuntimeOptions
from lipstream.errors import OptionError


@pytest.mark.parametrize(
    ("make", "field", "value", "sentence"),
    [
        (MuseTalkConfig, "version", "v2", "there is no MuseTalk version 'v2'; use v1 or v15."),
        (MuseTalkConfig, "profile", "fast", "no MuseTalk profile 'fast'; use exact or turbo."),
        (MuseTalkConfig, "profile", None, "no MuseTalk profile None; use exact or turbo."),
        (MuseTalkConfig, "precision", "int8", "'int8'; use float32, float16, bfloat16."),
        (MuseTalkConfig, "face_size", 300, "there is no MuseTalk face_size 300; use 256 or 512."),
        (MuseTalkConfig, "context_s", 31, "context_s must be from 1 to 30, not 31."),
        (MuseTalkConfig, "context_s", 0, "context_s must be from 1 to 30, not 0."),
        (MuseTalkConfig, "look_ahead_ms", -1, "look_ahead_ms must be from 0 to 1000, not -1."),
        (MuseTalkConfig, "device", "gpu", "there is no device 'gpu'; use cuda, cuda:0 or cpu."),
        (RuntimeOptions, "pixel_format", "bgr", "pixel_format 'bgr'; use rgb24 or i420."),
        (RuntimeOptions, "batch", 0, "batch must be at least 1, not 0."),
        (AvatarConfig, "max_side", 0, "max_side must be above 0, not 0."),
        (AvatarConfig, "background", (0, 0), "background must be (red, green, blue)"),
        (AvatarConfig, "background", (0, 0, 256), "background must be (red, green, blue)"),
        (Mp4Config, "crf", 52, "crf must be from 0 to 51, not 52."),
        (Mp4Config, "preset", "quick", "no mp4 preset 'quick'; use ultrafast, superfast,"),
        (Mp4Config, "audio_bitrate", 0, "audio_bitrate must be above 0, not 0."),
    ],
)
def test_an_impossible_value_is_refused(
    make: Callable[..., Any], field: str, value: object, sentence: str
) -> None:
    with pytest.raises(OptionError) as refused:
        make(**{field: value})
    assert sentence in str(refused.value)


@pytest.mark.parametrize("device", [None, "cpu", "cuda", "cuda:1"])
def test_devices_are_named_as_torch_names_them(device: str | None) -> None:
    assert MuseTalkConfig(device=device).device == device


def test_every_setting_has_a_default_and_none_can_be_changed() -> None:
    kinds: list[Any] = [kind for kind in vars(config).values() if is_dataclass(kind)]
    for kind in kinds:
        with pytest.raises(AttributeError):
            setattr(kind(), fields(kind)[0].name, None)
