from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="Whisper needs torch")

import torch

from lipstream.errors import CheckpointError
from lipstream.speech.musetalk.backbone import PIECE, Excerpt, SpeechNetwork
from lipstream.speech.musetalk.whisper import (
    WhisperDimensions,
    WhisperEncoder,
    WhisperSpeech,
    encoder_state,
    log_mel,
)
from tests.golden_cases.filling import config_of, fill_module

SMALL = WhisperDimensions(mel_bins=80, steps=100, width=24, heads=3, layers=2, inner=32)
MANIFESTS = Path(__file__).parents[2] / "golden" / "manifests"


def encoder(dimensions: WhisperDimensions = SMALL) -> WhisperEncoder:
    network = WhisperEncoder(dimensions)
    fill_module(network)
    return network


def sound(samples: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def peer(dimensions: WhisperDimensions, **more: Any) -> Any:
    """The same network as the published code runs it."""
    transformers = pytest.importorskip("transformers", reason="comparing needs transformers")
    config = transformers.WhisperConfig(
        num_mel_bins=dimensions.mel_bins,
        max_source_positions=dimensions.steps,
        d_model=dimensions.width,
        encoder_attention_heads=dimensions.heads,
        encoder_layers=dimensions.layers,
        encoder_ffn_dim=dimensions.inner,
        decoder_layers=1,
        decoder_attention_heads=1,
        vocab_size=50,
        pad_token_id=0,
        **more,
    )
    return transformers.WhisperModel(config).eval()


def assert_same_states(ours: WhisperEncoder, theirs: Any, mel: Any) -> None:
    with torch.inference_mode():
        expected = theirs.encoder(mel, output_hidden_states=True).hidden_states
        found = ours(mel)
    torch.testing.assert_close(found, torch.stack(expected, dim=2), rtol=0, atol=2e-5)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_published_code_s_files_load_as_they_are(tmp_path: Path, scaled: bool) -> None:
    theirs = peer(SMALL, scale_embedding=scaled)
    fill_module(theirs)
    theirs.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    from safetensors.torch import load_file

    ours = WhisperEncoder(WhisperDimensions.from_config(config)).eval()
    ours.load_state_dict(encoder_state(load_file(tmp_path / "model.safetensors")), strict=True)
    assert ours.dimensions == SMALL
    assert_same_states(ours, theirs, torch.randn(2, 80, 200))


def test_the_decoder_and_prefixes_are_dropped() -> None:
    state = {f"model.{name}": tensor for name, tensor in encoder().state_dict().items()}
    state["model.decoder.embed_tokens.weight"] = state["proj_out.weight"] = torch.zeros(2, 2)
    assert set(encoder_state(state)) == set(encoder().state_dict())


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"d_model": 100}, "d_model"),
        ({"d_model": "wide"}, "d_model"),
        ({"encoder_layers": 0}, "encoder_layers"),
        ({"encoder_attention_heads": True}, "encoder_attention_heads"),
        ({"activation_function": "relu"}, "activation_function"),
        ({"model_type": "hubert"}, "model_type"),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused_by_name(value: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckpointError, match=f"whisper/config.json sets {named} to "):
        WhisperDimensions.from_config(value, "models/whisper/config.json")


def test_the_published_size_has_the_published_names() -> None:
    shapes = json.loads((MANIFESTS / "whisper_tiny_encoder.json").read_text(encoding="utf-8"))
    config = config_of(MANIFESTS / "whisper_tiny.json")
    assert WhisperDimensions.from_config(config) == WhisperDimensions()
    with torch.device("meta"):
        state = WhisperEncoder(WhisperDimensions()).state_dict()
    assert {name: list(tensor.shape) for name, tensor in state.items()} == {
        name: shape for name, (shape, _) in shapes.items()
    }


@pytest.mark.full
def test_the_published_size_agrees() -> None:
    ours, theirs = encoder(WhisperDimensions()), peer(WhisperDimensions())
    theirs.load_state_dict(ours.state_dict(), strict=False)
    assert_same_states(ours, theirs, torch.randn(1, 80, 3000))


@pytest.mark.parametrize("samples", [1, 800, 16_000, 16_001, PIECE])
@pytest.mark.parametrize("bins", [80, 128])
def test_log_mel_is_what_whisper_was_trained_on(samples: int, bins: int) -> None:
    transformers = pytest.importorskip("transformers", reason="comparing needs transformers")
    extractor = transformers.WhisperFeatureExtractor(feature_size=bins)
    recorded = sound(samples)
    expected = extractor(recorded, sampling_rate=16_000, return_tensors="np").input_features[0]
    found = log_mel(torch.from_numpy(recorded), bins).numpy()
    assert found.shape == (bins, 3000)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_log_mel_of_digital_silence_is_finite() -> None:
    assert torch.equal(log_mel(torch.zeros(100)), torch.full((80, 3000), -1.5))


def test_each_piece_is_normalised_by_its_own_loudness() -> None:
    pieces = torch.from_numpy(np.stack([sound(16_000), 30 * sound(16_000, 1)]))
    together = log_mel(pieces, length=32_000)
    assert together.shape == (2, 80, 200)
    for piece, mel in zip(pieces, together, strict=True):
        torch.testing.assert_close(log_mel(piece, length=32_000), mel, rtol=0, atol=1e-6)


def test_features_are_the_states_of_the_steps_that_were_spoken() -> None:
    network: SpeechNetwork = WhisperSpeech(encoder())
    assert (network.layers, network.width) == (3, 24)
    pieces = [sound(n, n) for n in (32_000, 640, 959, 319, 0, 5_000)]
    features = network.features([Excerpt(one) for one in pieces])
    assert [f.shape for f in features] == [(n, 3, 24) for n in (100, 2, 2, 0, 0, 15)]
    assert all(f.dtype == np.float32 for f in features)
    mel = log_mel(torch.from_numpy(pieces[5]), length=32_000)
    with torch.inference_mode():
        expected = encoder()(mel[None])[0, :15].numpy()
    np.testing.assert_allclose(features[5], expected, rtol=0, atol=2e-5)


def test_a_piece_is_encoded_alone_in_any_batch() -> None:
    network = WhisperSpeech(encoder())
    pieces = [sound(700 * n, n) for n in range(1, 20)]
    for piece, together in zip(
        pieces, network.features([Excerpt(one) for one in pieces]), strict=True
    ):
        np.testing.assert_allclose(
            network.features([Excerpt(piece)])[0], together, rtol=0, atol=2e-5
        )
    assert network.features([]) == []


def test_fewer_columns_take_the_first_positions() -> None:
    network, mel = encoder(), torch.randn(1, 80, 40)
    with torch.inference_mode():
        embedded = network(mel)[0, :, 0]
        network.encoder.embed_positions.weight.zero_()
        moved = embedded - network(mel)[0, :, 0]
    torch.testing.assert_close(
        moved, encoder().encoder.embed_positions.weight[:20], atol=1e-6, rtol=0
    )


def test_half_precision_is_close() -> None:
    pieces = [sound(16_000)]
    full = WhisperSpeech(encoder()).features([Excerpt(one) for one in pieces])[0]
    half = WhisperSpeech(encoder().bfloat16()).features([Excerpt(one) for one in pieces])[0]
    assert half.dtype == np.float32
    assert np.abs(half - full).max() < 0.112 and np.abs(half - full).mean() < 0.012
