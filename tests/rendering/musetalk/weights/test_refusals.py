"""Missing, damaged and wrong weights are refused in one sentence each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lipstream.errors import CheckpointError, InputError, LipstreamError, MissingError
from lipstream.rendering.musetalk.weights.loader import load_checkpoint
from tests import tiny_models
from tests.rendering.musetalk.weights.conftest import (
    UNET,
    UNET_CONFIG,
    VAE,
    WHISPER,
    changed,
)
from tests.tiny_models import WIDTH, unet_state, vae_state


def refused(models: Path, kind: type[LipstreamError] = CheckpointError) -> str:
    with pytest.raises(kind) as caught:
        load_checkpoint(models)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("path", [UNET, UNET_CONFIG, VAE, VAE.with_name("config.json"), WHISPER])
def test_a_missing_file_is_named(models: Path, path: Path) -> None:
    (models / path).unlink()
    assert refused(models, MissingError) == (
        f"{models / path} is missing: run 'lipstream models pull musetalk'."
    )


def test_no_folder_at_all_is_named_with_what_to_do(tmp_path: Path) -> None:
    assert f"{tmp_path / 'models' / UNET} is missing" in refused(tmp_path / "models", MissingError)


@pytest.mark.parametrize("path", [UNET, VAE, WHISPER])
@pytest.mark.parametrize("kept", [0, 5, 100, -1000])
def test_a_file_that_is_cut_short_is_refused(models: Path, path: Path, kept: int) -> None:
    (models / path).write_bytes((models / path).read_bytes()[:kept])
    sentence = refused(models)
    assert sentence.startswith(f"{models / path} is ") and "cut short" in sentence


def test_torchs_first_format_cut_short_is_refused(models: Path) -> None:
    torch.save(unet_state(), models / UNET, _use_new_zipfile_serialization=False)
    content = (models / UNET).read_bytes()
    for kept in (30, 1000, len(content) // 2, len(content) - 10):
        (models / UNET).write_bytes(content[:kept])
        assert "is damaged or cut short" in refused(models)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_never_run(models: Path, tmp_path: Path, zipped: bool) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
            return (Path.touch, (str(tmp_path / "owned"),))

    torch.save({"x": Attack()}, models / UNET, _use_new_zipfile_serialization=zipped)
    assert "is not a plain weights file: it wants to run code" in refused(models)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("path", [UNET, VAE])
def test_other_files_are_refused(models: Path, path: Path) -> None:
    for content in (b"<!DOCTYPE html><html>sign in</html>", bytes(1000), bytes(range(256)) * 9):
        (models / path).write_bytes(content)
        assert "is damaged or cut short" in refused(models)
    (models / path).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "is a Git LFS pointer, not the weights" in refused(models)


@pytest.mark.parametrize("path", [UNET, UNET_CONFIG, VAE, WHISPER.with_name("config.json")])
def test_a_folder_in_the_place_of_a_file_is_named(models: Path, path: Path) -> None:
    (models / path).unlink()
    (models / path).mkdir()
    assert f"{models / path} is a folder, not a file" in refused(models)


@pytest.mark.parametrize("content", [unet_state, list, lambda: {1: torch.ones(1)}, lambda: {}])
def test_a_file_without_a_table_of_tensors_is_refused(
    models: Path, content: Callable[[], object]
) -> None:
    torch.save({"state": content()}, models / UNET)
    assert "holds no table of tensors" in refused(models)


def test_a_wrong_shape_is_named(models: Path) -> None:
    torch.save(changed(unet_state(), conv_in__weight=torch.zeros(32, 9, 3, 3)), models / UNET)
    assert refused(models) == (
        f"{models / UNET}: conv_in.weight has the shape (32, 9, 3, 3), expected (32, 8, 3, 3); "
        "delete it and run 'lipstream models pull musetalk'."
    )


def test_missing_and_unknown_tensors_are_named(models: Path) -> None:
    lacking = changed(unet_state(), conv_in__weight=None, conv_out__bias=None)
    torch.save(lacking, models / UNET)
    assert "lacks conv_in.weight and 1 more: " in refused(models)
    torch.save(changed(unet_state(), more=torch.zeros(1)), models / UNET)
    assert "has an unknown tensor more: " in refused(models)
    torch.save(vae_state(), models / UNET)
    assert "lacks conv_in.weight and " in refused(models)


def test_numbers_of_another_kind_are_refused(models: Path) -> None:
    whole = unet_state()["conv_in.weight"].to(torch.int64)
    torch.save(changed(unet_state(), conv_in__weight=whole), models / UNET)
    assert "conv_in.weight holds torch.int64, expected torch.float32" in refused(models)


def test_another_stable_diffusion_is_refused(models: Path) -> None:
    edit(models / UNET_CONFIG, in_channels=4)
    sentence = refused(models)
    assert f"{models / UNET_CONFIG} is not of a network of MuseTalk" in sentence
    assert "its in_channels is 4, expected 8" in sentence
    edit(models / UNET_CONFIG, in_channels=8, cross_attention_dim=1280)
    assert f"its cross_attention_dim is 1280, expected {WIDTH}" in refused(models)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"", b" " * (2 << 20)])
def test_a_config_that_is_no_json_is_refused(models: Path, content: bytes) -> None:
    (models / UNET_CONFIG).write_bytes(content)
    assert f"{models / UNET_CONFIG} is no valid JSON" in refused(models)


def test_a_config_that_means_something_else_is_refused(models: Path) -> None:
    (models / UNET_CONFIG).write_text("[]")
    assert f"{models / UNET_CONFIG} holds no JSON object" in refused(models)
    (models / UNET_CONFIG).write_text(json.dumps({**tiny_models.UNET, "act_fn": "magic"}))
    assert str(models / UNET_CONFIG) in refused(models, InputError)


def test_a_wider_network_asks_for_hubert(models: Path) -> None:
    edit(models / UNET_CONFIG, cross_attention_dim=768)
    assert f"{models / 'hubert' / 'model.safetensors'} is missing" in refused(models, MissingError)


def test_a_file_that_may_not_be_read_is_named(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def denied(path: Path, *arguments: object, **options: object) -> object:
        if path == models / UNET:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", denied)
    assert f"{models / UNET} cannot be read: permission denied; check its rights" in refused(models)
