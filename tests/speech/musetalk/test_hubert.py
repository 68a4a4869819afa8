from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="HuBERT needs torch")
pytest.importorskip("transformers", reason="HuBERT needs transformers, an extra: hubert")

import torch
from transformers import HubertConfig, HubertModel

from lipstream.errors import CheckpointError, MissingError
from lipstream.speech.musetalk.backbone import Excerpt, SpeechNetwork
from lipstream.speech.musetalk.hubert import HubertSpeech
from tests.golden_cases.filling import fill_module
from tests.speech.musetalk.networks import HUBERT


def model(**more: Any) -> Any:
    network = HubertModel(HubertConfig(**(HUBERT | more)))
    fill_module(network)
    return network


def sound(samples: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0.01, 0.1, samples).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model().save_pretrained(tmp_path)
    return tmp_path


def test_a_local_folder_is_read(folder: Path) -> None:
    loaded, original = HubertSpeech.load(folder), HubertSpeech(model())
    assert loaded.normalise
    features = [network.features([Excerpt(sound(5_000))])[0] for network in (loaded, original)]
    np.testing.assert_allclose(features[0], features[1], rtol=0, atol=1e-6)


def test_the_checkpoint_decides_on_normalised_input(folder: Path) -> None:
    config = folder / "preprocessor_config.json"
    config.write_text(json.dumps({"do_normalize": False}), encoding="utf-8")
    assert not HubertSpeech.load(folder).normalise
    config.write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match="preprocessor_config.json"):
        HubertSpeech.load(folder)


def test_a_folder_without_the_network_is_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(MissingError, match=r"none has no config\.json"):
        HubertSpeech.load(tmp_path / "none")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="cannot be read as HuBERT"):
        HubertSpeech.load(folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layers.1.attention.k_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="encoder.layers.1.attention.k_proj.weight"):
        HubertSpeech.load(folder)


def test_a_missing_package_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingError, match="pip install"):
        HubertSpeech.load(folder)


def test_another_rate_of_steps_is_refused() -> None:
    with pytest.raises(CheckpointError, match="every 160 samples"):
        HubertSpeech(model(conv_stride=(5, 2, 2, 2, 2, 2, 1)))


def test_a_piece_gives_fifty_steps_a_second() -> None:
    network: SpeechNetwork = HubertSpeech(model())
    assert (network.layers, network.width) == (1, 24)
    lengths = [0, 319, 320, 321, 399, 400, 639, 640, 16_000, 16_319]
    features = network.features([Excerpt(sound(n)) for n in lengths])
    assert [f.shape for f in features] == [(n // 320, 1, 24) for n in lengths]
    assert all(f.dtype == np.float32 for f in features)


def test_the_sound_is_normalised_and_centred_in_its_steps() -> None:
    samples = sound(3_200)
    centred = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    padded = torch.from_numpy(np.pad(centred, 40))[None]
    with torch.inference_mode():
        expected = model()(padded).last_hidden_state[0, :, None].numpy()
    found = HubertSpeech(model()).features([Excerpt(samples)])[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_loudness_and_offset_do_not_matter() -> None:
    network, samples = HubertSpeech(model()), sound(3_200)
    found = network.features([Excerpt(samples), Excerpt(0.5 * samples + 0.2)])
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-3)


def test_a_piece_is_encoded_alone_in_any_batch() -> None:
    network = HubertSpeech(model())
    pieces = [sound(n, place) for place, n in enumerate((3_200, 960, 3_200, 0, 960, 5_000))]
    for piece, together in zip(
        pieces, network.features([Excerpt(one) for one in pieces]), strict=True
    ):
        np.testing.assert_allclose(
            network.features([Excerpt(piece)])[0], together, rtol=0, atol=1e-5
        )
    assert network.features([]) == []


def test_half_precision_is_close() -> None:
    full = HubertSpeech(model()).features([Excerpt(sound(6_400))])[0]
    half = HubertSpeech(model().bfloat16()).features([Excerpt(sound(6_400))])[0]
    assert half.dtype == np.float32
    assert np.corrcoef(half.ravel(), full.ravel())[0, 1] > 0.98  # so narrow a network is noisy
