"""The Whisper-shaped encoder's corpus and its start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from lipstream.speech.musetalk.audio_windows import SILENCE
from lipstream.speech.musetalk.backbone import Excerpt
from lipstream.speech.musetalk.whisper import WhisperSpeech
from lipstream.timeline import FEATURE_STEP
from tests.training.neural import corpora
from training.neural import speech_encoder
from training.neural.configs import new_whisper


@pytest.mark.parametrize("layer", range(4))
def test_heads_begin_by_looking_at_their_neighbours(layer: int) -> None:
    network = new_whisper()
    speech_encoder.begin(network)
    stack: Any = network.encoder
    steps = 200
    waves = stack.layers[layer].self_attn_layer_norm(stack.embed_positions.weight[:steps])
    attention = stack.layers[layer].self_attn
    query, key = (
        projection.weight.matmul(waves.T).T.reshape(steps, 4, -1)
        for projection in (attention.q_proj, attention.k_proj)
    )
    scores = torch.einsum("qhd,khd->hqk", query, key)
    middle = scores[:, steps // 2].argmax(dim=1) - steps // 2
    expected = torch.tensor(speech_encoder._LOOKS[layer])
    assert (middle - expected).abs().max() <= 1


def test_pieces_stay_with_their_poses() -> None:
    speech = corpora.speech()
    assert [len(speech.piece(at)) for at in range(3)] == [32_000, 16_000, 48_000]
    assert [len(speech.step_poses(at)) for at in range(3)] == [100, 50, 150]
    assert [len(speech.frame_poses(at)) for at in range(3)] == [50, 25, 75]
    sound, poses = speech_encoder.together(speech, [1, 2], 2.5, np.random.default_rng(0))
    assert (sound.shape, poses.shape) == ((40_000,), (125, 7))


def test_excerpts_are_heard_as_the_product_hears_them() -> None:
    torch.manual_seed(0)
    network, dice = new_whisper(), np.random.default_rng(0)
    sound, _ = speech_encoder.together(corpora.speech(), [0, 1, 2], 12.0, dice)
    some = speech_encoder.excerpts(len(sound) // FEATURE_STEP, dice)
    with torch.inference_mode():
        states = speech_encoder._live_states(network, sound, some).numpy()
    for one, ours in zip(some, states, strict=True):
        heard = sound[one.start * FEATURE_STEP : one.stop * FEATURE_STEP]
        expected = WhisperSpeech(network).features([Excerpt(heard, one.start, SILENCE)])[0]
        np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("steps", [50, 1500])
def test_excerpts_lie_within_their_piece(steps: int) -> None:
    dice = np.random.default_rng(steps)
    for _ in range(50):
        some = speech_encoder.excerpts(steps, dice)
        assert len({len(one) for one in some}) == 1
        assert all(0 <= one.start and one.stop <= steps and len(one) >= 12 for one in some)
