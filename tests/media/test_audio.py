"""PCM of every kind is taken right, and resampling never depends on how the sound was cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipstream.errors import AudioError
from lipstream.media.audio import AudioChunk
from lipstream.media.resampler import Resampler, resampling_ms
from lipstream.timeline import SAMPLE_RATE
from tests.media_files import tone

if TYPE_CHECKING:
    from lipstream.media.image import Floats

RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000)


def noise(samples: int) -> Floats:
    values = np.random.default_rng(5).standard_normal(samples)
    return np.clip(values * 0.2, -1, 1).astype(np.float32)


def resampled(samples: Floats, rate: int, cuts: list[int]) -> Floats:
    resampler = Resampler(rate)
    pieces = [resampler.push(piece) for piece in np.split(samples, sorted(cuts))]
    return np.concatenate([*pieces, resampler.flush()])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([-128, 0, 64], np.int8),
        ([0, 128, 192], np.uint8),
        ([-32768, 0, 16384], np.int16),
        ([-(2**31), 0, 2**30], np.int32),
        ([-1.0, 0.0, 0.5], np.float32),
        ([-1.0, 0.0, 0.5], np.float64),
    ],
)
def test_every_pcm_type_is_scaled_to_full_scale(values: list[float], kind: type) -> None:
    chunk = AudioChunk(np.array(values, kind), 16_000)
    assert chunk.samples.dtype == np.float32
    assert chunk.samples.shape == (3, 1)
    assert chunk.mono().tolist() == [-1.0, 0.0, 0.5]


def test_channels_are_averaged() -> None:
    chunk = AudioChunk(np.array([[0.5, 0.25], [1.0, -1.0]]), 48_000)
    assert chunk.channels == 2 and len(chunk) == 2
    assert chunk.mono().tolist() == [0.375, 0.0]


def test_a_little_overshoot_is_clipped() -> None:
    chunk = AudioChunk(np.array([1.2, -1.5], np.float32), 16_000)
    assert chunk.mono().tolist() == [1.0, -1.0]


def test_one_dimension_is_mono_and_so_is_a_list() -> None:
    assert AudioChunk(np.zeros(10, np.int16), 16_000).samples.shape == (10, 1)
    assert AudioChunk([0.0, -0.5], 16_000).mono().tolist() == [0.0, -0.5]
    with pytest.raises(AudioError, match="differ in length"):
        AudioChunk([[0.0], [0.0, 1.0]], 16_000)


def test_a_chunk_owns_its_samples_and_says_how_many_they_are() -> None:
    sound = np.zeros((1600, 2), np.float32)
    chunk = AudioChunk(sound, 16_000)
    sound[:] = 1
    assert not chunk.samples.any()
    assert repr(chunk) == "AudioChunk(1600 samples x 2, 16000 Hz)"


def test_no_samples_are_a_chunk_of_none() -> None:
    assert len(AudioChunk(np.zeros(0, np.int16), 16_000).mono()) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_sound_are_refused(bad: float) -> None:
    with pytest.raises(AudioError, match="NaN or infinite"):
        AudioChunk(np.array([0.0, bad]), 16_000)


def test_integers_stored_as_floats_are_refused_with_the_remedy() -> None:
    with pytest.raises(AudioError, match="divide 16-bit values by 32768"):
        AudioChunk(np.array([0.0, 12_000.0]), 16_000)


@pytest.mark.parametrize(
    "rate", [0, -16_000, 999, 768_001, 44_100.5, np.nan, np.inf, None, "16000"]
)
def test_absurd_rates_are_refused(rate: Any) -> None:
    with pytest.raises(AudioError, match="sample rate"):
        AudioChunk(np.zeros(4, np.int16), rate)
    with pytest.raises(AudioError, match="sample rate"):
        Resampler(rate)


@pytest.mark.parametrize("rate", [16_000.0, np.int32(16_000), np.float32(16_000)])
def test_a_rate_may_be_any_kind_of_whole_number(rate: Any) -> None:
    assert type(AudioChunk(np.zeros(4, np.int16), rate).sample_rate) is int


@pytest.mark.parametrize("kind", [np.uint16, np.int64, np.complex64, bool])
def test_other_types_are_refused_by_name(kind: type) -> None:
    with pytest.raises(AudioError, match=np.dtype(kind).name):
        AudioChunk(np.zeros(4, kind), 16_000)


@pytest.mark.parametrize("shape", [(), (2, 3, 4), (2, 16_000), (5, 0)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioError, match="shape"):
        AudioChunk(np.zeros(shape, np.float32), 16_000)


@settings(deadline=None, max_examples=60)
@given(rate=st.sampled_from(RATES), samples=st.integers(0, 30_000), data=st.data())
def test_any_cutting_gives_the_same_bits(rate: int, samples: int, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, samples), max_size=12))
    sound = noise(samples)
    whole, pieces = resampled(sound, rate, []), resampled(sound, rate, cuts)
    assert np.array_equal(whole, pieces)
    assert abs(len(whole) - samples * SAMPLE_RATE / rate) <= 1


def test_single_samples_give_the_same_bits() -> None:
    sound = noise(3_000)
    singles = resampled(sound, 44_100, list(range(1, 3_000)))
    assert np.array_equal(resampled(sound, 44_100, []), singles)


@pytest.mark.parametrize("rate", RATES)
def test_sound_stays_where_it_was(rate: int) -> None:
    """A 1 kHz sine and a click come out at the same time they went in."""
    times = np.arange(rate) / rate
    sine = resampled(np.sin(2000 * np.pi * times).astype(np.float32), rate, [])
    expected = np.sin(2000 * np.pi * np.arange(len(sine)) / SAMPLE_RATE)
    middle = slice(1_000, -1_000)  # the filter rings where the sine begins and ends
    assert np.abs(sine - expected)[middle].max() < 1e-4
    click = np.zeros(rate, np.float32)
    click[rate // 2] = 1.0
    assert abs(int(resampled(click, rate, []).argmax()) - rate // 2 * SAMPLE_RATE / rate) <= 1


def test_the_models_own_rate_is_untouched() -> None:
    sound = noise(1_000)
    assert np.array_equal(resampled(sound, SAMPLE_RATE, [1, 500]), sound)


def test_a_flushed_resampler_is_as_new() -> None:
    sound, resampler = noise(5_000), Resampler(24_000)
    first = np.concatenate([resampler.push(sound), resampler.flush()])
    second = np.concatenate([resampler.push(sound), resampler.flush()])
    assert np.array_equal(first, second)


def test_sound_comes_out_while_it_goes_in() -> None:
    """The filter holds back no more than its documented delay."""
    resampler, out = Resampler(48_000), 0
    for block in range(1, 101):
        out += len(resampler.push(np.zeros(480, np.float32)))
        assert block * 10 - out * 1000 / SAMPLE_RATE <= 40


@pytest.mark.parametrize("rate", [8000, 24_000, 44_100, 96_000])
def test_peeking_shows_what_flushing_would_give(rate: int) -> None:
    sound = tone(3.21, rate, hertz=300.0)
    resampler = Resampler(rate)
    given = resampler.push(sound)
    seen, rest = resampler.peek(), resampler.flush()
    assert abs(len(seen) - len(rest)) <= 1
    count = min(len(seen), len(rest))
    assert np.allclose(seen[:count], rest[:count], atol=1e-4)
    assert len(given) + len(rest) == pytest.approx(3.21 * 16_000, abs=2)


@given(
    rate=st.sampled_from(RATES),
    samples=st.integers(0, 30_000),
    cuts=st.lists(st.integers(0, 30_000), max_size=5),
)
def test_no_cutting_changes_the_sound_at_48_khz(rate: int, samples: int, cuts: list[int]) -> None:
    sound, results = noise(samples), []
    for edges in ([], sorted(min(cut, samples) for cut in cuts)):
        resampler = Resampler(rate, 48_000)
        parts = [resampler.push(part) for part in np.split(sound, edges)]
        results.append(np.concatenate([*parts, resampler.flush()]))
    assert np.array_equal(results[0], results[1])
    assert abs(len(results[0]) - samples * 48_000 / rate) <= 1
    if rate == 48_000:
        assert np.array_equal(results[0], sound)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("target", [16_000, 48_000])
def test_a_resampler_holds_back_no_more_than_is_said(rate: int, target: int) -> None:
    resampler, got, worst = Resampler(rate, target), 0, 0.0
    for step in range(1, 50):
        got += len(resampler.push(np.zeros(rate // 50, np.float32)))
        worst = max(worst, 20 * step - 1000 * got / target)
    assert worst <= resampling_ms(rate, target) + 20  # a push is 20 ms long
