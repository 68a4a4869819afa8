"""The whole backend from a folder of weights: speech in, pictures out."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the musetalk backend needs torch")

import torch

from lipstream.avatar.builder import open_avatar
from lipstream.config import AvatarConfig, MuseTalkConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.errors import MissingError
from lipstream.media.audio import AudioChunk
from lipstream.media.i420 import BT601, pad_to_even, to_i420
from lipstream.offline import render_stream
from lipstream.rendering.musetalk.factory import largest_batch
from lipstream.rendering.musetalk.models.unet import UNet, UNetDimensions
from lipstream.rendering.musetalk.optimizations.mkldnn_pack import UNITS, can_prepack
from lipstream.rendering.musetalk.renderer import MuseTalkRenderer
from lipstream.rendering.registry import open_backend
from lipstream.speech.base import Plan
from tests.fakes import blank_avatar
from tests.golden_cases.filling import fill_module
from tests.rendering.musetalk.networks import write_tiny_decoder
from tests.speech.musetalk.networks import HUBERT
from tests.tiny_models import UNET, write_models

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.media.image import Image

PORTRAIT = Path(__file__).parents[2] / "data" / "portrait.png"
RATE = 24_000
RUNTIME = {field.name for field in fields(RuntimeOptions)}


def sound(seconds: float, seed: int = 3) -> Any:
    noise = np.random.default_rng(seed).normal(0, 0.1, int(RATE * seconds))
    return noise.astype(np.float32)


@cache
def portrait() -> Avatar:
    """The portrait as an avatar, made once per worker."""
    return open_avatar(PORTRAIT, AvatarConfig())


def frames(models: Path, cuts: list[int], seconds: float = 0.24, **settings: Any) -> list[Image]:
    """The frames of speech cut at `cuts`; `settings` are of either kind."""
    chosen = {name: settings.pop(name) for name in RUNTIME & settings.keys()}
    musetalk = MuseTalkConfig(models, device="cpu", **settings)
    engine = Engine(open_backend("musetalk", musetalk=musetalk, runtime=RuntimeOptions(**chosen)))
    avatar = engine.prepare(portrait())
    chunks = [AudioChunk(piece, RATE) for piece in np.split(sound(seconds), cuts)]
    return [timed.frame for timed in render_stream(engine, avatar, chunks)]


def assert_same(one: list[Image], other: list[Image]) -> None:
    assert len(one) == len(other)
    for first, second in zip(one, other, strict=True):
        # The size of a batch moves float sums a little, and so a rounded value now and then.
        difference = np.abs(first.astype(int) - second)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01


def test_i420_is_that_of_the_same_pictures(models: Path) -> None:
    pictures = frames(models, [], 0.08, live=True)
    i420 = frames(models, [], 0.08, live=True, pixel_format="i420")
    height, width = pictures[0].shape[:2]
    assert i420[0].shape == ((height + height % 2) * 3 // 2, width + width % 2)
    assert_same(i420, [to_i420(pad_to_even(picture), BT601) for picture in pictures])


@pytest.mark.slow
@pytest.mark.parametrize("live", [False, True])
def test_neither_chunks_nor_batches_change_the_frames(models: Path, live: bool) -> None:
    whole = frames(models, [], live=live, batch=8)
    assert len(whole) == 6
    for cuts, batch in (([1, 2, 777], 1), (list(range(480, 5760, 480)), 4)):
        assert_same(whole, frames(models, cuts, live=live, batch=batch))
    assert any(not np.array_equal(whole[0], other) for other in whole[1:]), (
        "the audio changes nothing"
    )


@pytest.mark.full
def test_a_face_of_512_pixels_changes_the_same_place(models: Path) -> None:
    small, large = (frames(models, [], 0.08, face_size=side, batch=2)[0] for side in (256, 512))
    picture = portrait().frames[0].pixels
    touched = [np.argwhere((changed != picture).any(-1)) for changed in (small, large)]
    for one, other in zip(touched[0].min(0), touched[1].min(0), strict=True):
        assert abs(int(one) - int(other)) <= 3
    for one, other in zip(touched[0].max(0), touched[1].max(0), strict=True):
        assert abs(int(one) - int(other)) <= 3


@pytest.mark.slow
def test_a_checkpoint_768_wide_takes_hubert(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="HuBERT is an extra")
    models = write_models(tmp_path)
    wide = UNET | {"cross_attention_dim": 768}
    (models / "musetalkV15" / "musetalk.json").write_text(json.dumps(wide))
    unet = UNet(UNetDimensions.from_config(wide))
    fill_module(unet)
    torch.save(unet.state_dict(), models / "musetalkV15" / "unet.pth")
    sizes = HUBERT | {"hidden_size": 768, "num_hidden_layers": 1, "num_attention_heads": 2}
    network = transformers.HubertModel(transformers.HubertConfig(**sizes))
    fill_module(network)
    network.save_pretrained(models / "hubert")
    whole = frames(models, [], live=True, batch=2)
    assert len(whole) == 6
    assert_same(whole, frames(models, [5, 4000], live=True, batch=2))


@pytest.mark.slow
def test_turbo_takes_the_small_decoder(models: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="taesd"):
        frames(models, [], 0.08, profile="turbo")
    turbo = copytree(models, tmp_path / "models")
    write_tiny_decoder(turbo)
    plain, fast = (
        frames(turbo, [], 0.08, profile="turbo", optimized=optimized, precision="float32")
        for optimized in (False, True)
    )
    assert_same(plain, fast)
    assert not np.array_equal(plain[0], frames(turbo, [], 0.08)[0])


@pytest.mark.slow
def test_other_frame_rates_have_their_frames(models: Path) -> None:
    musetalk, runtime = MuseTalkConfig(models, device="cpu"), RuntimeOptions(batch=4)
    fps = Fraction(30_000, 1001)
    backend = open_backend("musetalk", fps=fps, musetalk=musetalk, runtime=runtime)
    engine = Engine(backend)
    timed = list(render_stream(engine, portrait(), [AudioChunk(sound(0.3), RATE)]))
    assert [frame.timestamp_ms for frame in timed] == [0, 33, 66, 100, 133, 166, 200, 233]


@pytest.mark.parametrize("fps", [Fraction(30), Fraction(30_000, 1001)])
def test_a_clip_of_another_rate_shows_each_picture_once(models: Path, fps: Fraction) -> None:
    """30 a second in, 30 a second out: nothing goes by way of 25."""
    musetalk = MuseTalkConfig(models, device="cpu")
    clip = replace(blank_avatar(frames=9), fps=fps)
    shown = {}
    for rate in (fps, Fraction(25)):
        engine = Engine(open_backend("musetalk", fps=rate, musetalk=musetalk))
        avatar = engine.prepare(clip)
        timed = render_stream(engine, avatar, [AudioChunk(sound(0.27), RATE)])
        shown[rate] = [int(one.frame[0, 0, 0]) for one in timed]
    assert shown[fps] == list(range(len(shown[fps]))) and len(shown[fps]) == 8
    assert shown[Fraction(25)] == [int(frame * fps / 25) for frame in range(6)]


@pytest.mark.parametrize("units", [False, True])
def test_optimized_takes_bfloat16_only_where_a_cpu_has_units_for_it(
    models: Path, units: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in UNITS:
        monkeypatch.setattr(torch.cpu, name, lambda: units, raising=False)
    runtime = RuntimeOptions(optimized=True)
    musetalk = MuseTalkConfig(models, device="cpu")
    renderer = open_backend("musetalk", musetalk=musetalk, runtime=runtime).renderer
    assert isinstance(renderer, MuseTalkRenderer)
    taken = torch.bfloat16 if units and can_prepack() else torch.float32
    assert renderer.networks.dtype == taken


def test_batches_fit_their_use(models: Path) -> None:
    def batch(**settings: Any) -> int:
        musetalk, runtime = MuseTalkConfig(models, device="cpu"), RuntimeOptions(**settings)
        return open_backend("musetalk", musetalk=musetalk, runtime=runtime).batch

    assert batch() == 8
    assert batch(live=True) == 1  # a CPU gains nothing from more, and an urgent frame would wait
    assert batch(batch=3) == 3
    assert [largest_batch(faces) for faces in (0.2, 1, 5.9, 17, 300)] == [1, 1, 4, 16, 32]


def test_live_speech_waits_for_the_look_ahead_that_was_chosen(models: Path) -> None:
    def plan(**settings: Any) -> Plan:
        config, runtime = (
            MuseTalkConfig(models, device="cpu", **settings),
            RuntimeOptions(live=True),
        )
        return open_backend("musetalk", musetalk=config, runtime=runtime).encoder.plan

    assert plan() == Plan(past=5 * 16_000, step=2, future=1280)
    assert plan(look_ahead_ms=80) == Plan(past=5 * 16_000, step=2, future=2 * 1280)
    assert plan(context_s=2).past == 2 * 16_000
    assert plan(context_s=30).past > 30 * 16_000  # all of a piece, and a window that begins in it
