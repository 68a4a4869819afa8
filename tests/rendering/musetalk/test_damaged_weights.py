"""A folder of weights with a damaged one: speech goes on, offline and live, with bare frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the musetalk backend needs torch")

import torch
from safetensors.torch import load_file, save_file

from lipstream import offline
from lipstream.avatar.builder import open_avatar
from lipstream.config import MuseTalkConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.media.audio import AudioChunk
from lipstream.rendering.registry import open_backend
from tests.live.harness import LiveHarness
from tests.media_files import write_wav
from tests.tiny_models import LIVE, write_models

PORTRAIT = Path(__file__).parents[2] / "data" / "portrait.png"
RATE = 16_000


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny weights; one number of the autoencoder's decoder is none."""
    return write_damaged(tmp_path_factory.mktemp("damaged"), "decoder.conv_in.weight")


def write_damaged(folder: Path, weight: str) -> Path:
    """Tiny weights; the first number of one of the autoencoder's is none."""
    models = write_models(folder, sizes=LIVE)
    path = models / "sd-vae-ft-mse" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    state[weight][0, 0, 0, 0] = torch.nan
    save_file(state, path)
    return models


@pytest.fixture
def engine(damaged: Path, request: pytest.FixtureRequest) -> Engine:
    config, runtime = MuseTalkConfig(damaged, device="cpu"), RuntimeOptions(live=request.param)
    return Engine(open_backend("musetalk", musetalk=config, runtime=runtime))


def speech(seconds: float) -> AudioChunk:
    samples = np.random.default_rng(3).normal(0, 0.1, int(RATE * seconds))
    return AudioChunk(samples.astype(np.float32), RATE)


@pytest.mark.parametrize("engine", [False], indirect=True, ids=["offline"])
def test_a_video_has_bare_frames_and_its_result_says_why(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    avatar = engine.prepare(open_avatar(PORTRAIT))
    for timed in offline.render_stream(engine, avatar, [speech(0.12)]):
        assert np.array_equal(timed.frame, avatar.frames[0].pixels)
    assert engine.backend.nonfinite_faces == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    sound = tmp_path / "speech.wav"
    write_wav(sound, speech(0.08).samples, RATE)
    done = offline.render(avatar, sound, tmp_path / "out.mp4", engine=engine)
    assert done.warnings[-1] == (
        "2 generated faces were not finite, and shown bare or generated again; check the weights "
        "with `lipstream models verify`, or choose another --precision."
    )


@pytest.mark.parametrize("engine", [True], indirect=True, ids=["live"])
def test_a_session_shows_bare_frames(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    live = LiveHarness(engine.backend)
    avatar = engine.prepare(open_avatar(PORTRAIT))
    session = live.open(avatar)
    session.speak(speech(0.3))
    live.run(1000)
    assert session.spoken and engine.backend.nonfinite_faces > 0
    for unit in session.units:
        assert np.array_equal(unit.frame, avatar.frames[0].pixels)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_latents_that_are_not_finite_are_not_saved_with_their_avatar(tmp_path: Path) -> None:
    config = MuseTalkConfig(write_damaged(tmp_path, "encoder.conv_in.weight"), device="cpu")
    engine = Engine(open_backend("musetalk", musetalk=config))
    avatar = engine.prepare(open_avatar(PORTRAIT))
    assert "face_latent" not in avatar
    for timed in offline.render_stream(engine, avatar, [speech(0.04)]):
        assert np.array_equal(timed.frame, avatar.frames[0].pixels)
    assert engine.backend.nonfinite_faces == 1
