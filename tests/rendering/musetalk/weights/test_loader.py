"""Weights load from every published format, in any precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lipstream.errors import CheckpointError
from lipstream.rendering.musetalk.models.bisenet import BiSeNet
from lipstream.rendering.musetalk.weights.layout import find_layout
from lipstream.rendering.musetalk.weights.loader import (
    check_checkpoint,
    check_models,
    load_checkpoint,
    load_parser,
)
from lipstream.speech.musetalk.whisper import WhisperSpeech
from tests.rendering.musetalk.networks import TINY_DECODER, write_tiny_decoder
from tests.rendering.musetalk.weights.conftest import UNET, VAE, WHISPER, changed
from tests.tiny_models import WIDTH, unet_state, vae_state, whisper_state, write_models

OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


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
    torch.save(changed(unet_state(), conv_in__weight=None), models / UNET)
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
    torch.save(changed(state, cp__resnet__bn1__running_mean=None), path)
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
