"""All stages of the small MuseTalk, a few steps of each: what comes out is a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from lipstream.rendering.musetalk.weights.loader import load_checkpoint
from tests.training.neural import corpora
from training.neural import autoencoder, checkpoint, generator, latents, speech_encoder

MAX_FILE, MAX_ALL = 5e6, 5e6  # bytes: what a repository bears


@pytest.mark.full
def test_the_recipe_makes_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in (autoencoder, generator):
        monkeypatch.setattr(stage, "HELD_TAKES", 1)
    speech = corpora.speech()
    faces = corpora.faces(tmp_path, speech)
    speech_encoder.train(speech, tmp_path, seed=1, steps=2)
    autoencoder.train(faces, tmp_path, seed=1, steps=2)
    latents.make_heard(faces, speech, tmp_path, seed=1)
    latents.make_latents(faces, tmp_path)
    generator.train(tmp_path, seed=1, steps=2)
    checkpoint.export(tmp_path, tmp_path / "models")
    sizes = [path.stat().st_size for path in (tmp_path / "models").rglob("*.*")]
    assert max(sizes) < MAX_FILE and sum(sizes) < MAX_ALL
    networks = load_checkpoint(tmp_path / "models")
    assert networks.version == "v15"
    stored = torch.load(tmp_path / "vae.pt")
    assert networks.vae.dimensions.scaling == pytest.approx(stored["scaling"])
