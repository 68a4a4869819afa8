"""The Whisper-shaped encoder's corpus and its start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

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
