"""Weights load from every published layout and format, and wrong ones are refused in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lipstream.errors import CheckpointError, InputError, LipstreamError, MissingError, OptionError
from lipstream.rendering.musetalk.models.bisenet import BiSeNet
from lipstream.rendering.musetalk.weights.layout import (
    find_landmarks,
    find_layout,
    find_layouts,
    find_parser,
    unread_landmarks,
)
from lipstream.rendering.musetalk.weights.loader import (
    check_checkpoint,
    check_models,
    load_checkpoint,
    load_parser,
)
from lipstream.speech.musetalk.whisper import WhisperSpeech
from tests import tiny_models
from tests.rendering.musetalk.networks import TINY_DECODER, write_tiny_decoder
from tests.tiny_models import WIDTH, unet_state, vae_state, whisper_state, write_models

UNET = Path("musetalkV15/unet.pth")
UNET_CONFIG = UNET.with_name("musetalk.json")
VAE = Path("sd-vae-ft-mse/diffusion_pytorch_model.safetensors")
WHISPER = Path("whisper/model.safetensors")
OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def models(pristine: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine, tmp_path / "models")


def refused(models: Path, kind: type[LipstreamError] = CheckpointError) -> str:
    with pytest.raises(kind) as caught:
        load_checkpoint(models)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_networks_are_ready_to_run(pristine: Path) -> None:
    networks = load_checkpoint(pristine)
    assert (networks.version, networks.dtype) == ("v15", torch.float32)
    assert isinstance(networks.speech, WhisperSpeech)
    assert (networks.speech.layers, networks.speech.width) == (5, WIDTH)
    for network in (networks.unet, networks.vae, networks.speech.encoder):
        assert not network.training
        for tensor in network.parameters():
            assert not tensor.requires_grad and tensor.device.type == "cpu"
    for name, tensor in networks.unet.state_dict().items():
        assert torch.equal(tensor, unet_state()[name])
    for name, tensor in networks.speech.encoder.state_dict().items():
        assert torch.equal(tensor, whisper_state()[f"model.{name}"])


def test_loading_leaves_nothing_without_memory(pristine: Path) -> None:
    networks = load_checkpoint(pristine)
    for network in (networks.unet, networks.vae):
        assert not any(tensor.is_meta for tensor in [*network.parameters(), *network.buffers()])


def test_files_can_be_checked_without_loading_them(models: Path) -> None:
    layout = find_layout(models)
    check_checkpoint(layout)
    torch.save(_changed(unet_state(), conv_in__weight=None), models / UNET)
    with pytest.raises(CheckpointError, match="lacks conv_in.weight: it is not the network"):
        check_checkpoint(layout)


def test_formats_hold_the_same(pristine: Path, tmp_path: Path) -> None:
    other = load_checkpoint(write_models(tmp_path, safetensors=False))
    for name, tensor in load_checkpoint(pristine).vae.state_dict().items():
        assert torch.equal(tensor, other.vae.state_dict()[name])


def test_files_in_torchs_first_format_load(models: Path) -> None:
    torch.save(unet_state(), models / UNET, _use_new_zipfile_serialization=False)
    assert torch.equal(load_checkpoint(models).unet.conv_in.weight, unet_state()["conv_in.weight"])


@pytest.mark.parametrize(
    ("stored", "requested"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.bfloat16),
        (torch.float16, torch.float16),
    ],
)
def test_any_precision_becomes_the_requested_one(
    models: Path, stored: torch.dtype, requested: torch.dtype
) -> None:
    torch.save({name: tensor.to(stored) for name, tensor in unet_state().items()}, models / UNET)
    save_file({name: tensor.to(stored) for name, tensor in vae_state().items()}, models / VAE)
    networks = load_checkpoint(models, dtype=requested)
    assert {tensor.dtype for tensor in networks.unet.parameters()} == {requested}
    assert {tensor.dtype for tensor in networks.vae.parameters()} == {requested}
    expected = unet_state()["conv_in.weight"].to(stored).to(requested)
    assert torch.equal(networks.unet.conv_in.weight, expected)


def test_the_oldest_names_of_the_vae_are_understood(models: Path) -> None:
    def old(name: str) -> str:
        if ".attentions." in name:
            for today, before in OLD.items():
                name = name.replace(f".{today}.", f".{before}.")
        return name

    save_file({old(name): tensor for name, tensor in vae_state().items()}, models / VAE)
    loaded = load_checkpoint(models).vae.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in vae_state().items())


def test_a_whisper_without_prefix_and_decoder_loads(models: Path) -> None:
    state = {
        name.removeprefix("model."): tensor
        for name, tensor in whisper_state().items()
        if "decoder" not in name
    }
    save_file(state, models / WHISPER)
    load_checkpoint(models)


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


def test_the_parser_is_optional(models: Path) -> None:
    assert load_parser(models) is None
    (models / "face-parse-bisent").mkdir()
    path = models / "face-parse-bisent" / "79999_iter.pth"
    torch.save(unet_state(), path)
    with pytest.raises(CheckpointError, match=f"{path} lacks "):
        load_parser(models)


def test_a_parser_without_counts_of_batches_loads(models: Path) -> None:
    """As the first versions of torch saved it."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in BiSeNet().state_dict().items()}
    state = {
        name: torch.tensor(0.5).expand(shape)  # a file of one number for each
        for name, shape in shapes.items()
        if "num_batches" not in name
    }
    assert len(shapes) - len(state) == 31
    (models / "face-parse-bisent").mkdir()
    path = models / "face-parse-bisent" / "79999_iter.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    parser = load_parser(models)
    assert parser is not None
    loaded = parser.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())
    assert loaded["cp.resnet.bn1.num_batches_tracked"] == 0
    torch.save(_changed(state, cp__resnet__bn1__running_mean=None), path)
    with pytest.raises(CheckpointError, match=r"lacks cp.resnet.bn1.running_mean"):
        load_parser(models)


def test_every_file_of_a_folder_is_checked(models: Path) -> None:
    check_models(models)
    write_tiny_decoder(models, TINY_DECODER)
    check_models(models)
    decoder = models / "taesd" / "diffusion_pytorch_model.safetensors"
    decoder.write_bytes(decoder.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=f"{decoder} is damaged or cut short"):
        check_models(models)


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


def _changed(state: dict[str, Tensor], **changes: Tensor | None) -> dict[str, Tensor]:
    changed = {**state, **{name.replace("__", "."): value for name, value in changes.items()}}
    return {name: tensor for name, tensor in changed.items() if tensor is not None}


def test_a_wrong_shape_is_named(models: Path) -> None:
    torch.save(_changed(unet_state(), conv_in__weight=torch.zeros(32, 9, 3, 3)), models / UNET)
    assert refused(models) == (
        f"{models / UNET}: conv_in.weight has the shape (32, 9, 3, 3), expected (32, 8, 3, 3); "
        "delete it and run 'lipstream models pull musetalk'."
    )


def test_missing_and_unknown_tensors_are_named(models: Path) -> None:
    lacking = _changed(unet_state(), conv_in__weight=None, conv_out__bias=None)
    torch.save(lacking, models / UNET)
    assert "lacks conv_in.weight and 1 more: " in refused(models)
    torch.save(_changed(unet_state(), more=torch.zeros(1)), models / UNET)
    assert "has an unknown tensor more: " in refused(models)
    torch.save(vae_state(), models / UNET)
    assert "lacks conv_in.weight and " in refused(models)


def test_numbers_of_another_kind_are_refused(models: Path) -> None:
    whole = unet_state()["conv_in.weight"].to(torch.int64)
    torch.save(_changed(unet_state(), conv_in__weight=whole), models / UNET)
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
