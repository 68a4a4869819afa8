"""Time is exact: no frame is lost or invented, however long the sound is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.timeline import (
    FEATURE_STEP,
    FPS,
    SAMPLE_RATE,
    exact_rate,
    frame_count,
    frame_ms,
    frame_start,
)

FRAME_RATES = (
    Fraction(24_000, 1001),
    Fraction(25),
    Fraction(30_000, 1001),
    Fraction(50),
    Fraction(60),
)
TWO_HOURS = 7_200

rates = st.integers(1_000, 192_000)
frame_rates = st.sampled_from(FRAME_RATES)


@given(rate=rates, data=st.data())
def test_frames_are_counted_exactly(rate: int, data: st.DataObject) -> None:
    samples = data.draw(st.integers(1, TWO_HOURS * rate))
    assert frame_count(samples, rate) == max(1, 25 * samples // rate)


@given(rate=rates, fps=frame_rates, data=st.data())
def test_frames_are_counted_exactly_at_any_frame_rate(
    rate: int, fps: Fraction, data: st.DataObject
) -> None:
    samples = data.draw(st.integers(1, TWO_HOURS * rate))
    count = frame_count(samples, rate, fps)
    length = Fraction(samples, rate)
    assert count == 1 or count / fps <= length
    assert length < (count + 1) / fps


@pytest.mark.parametrize(
    ("samples", "rate", "frames"),
    [
        (80_000, 16_000, 125),
        (220_500, 44_100, 125),
        (639, 16_000, 1),
        (1, 16_000, 1),
        (0, 16_000, 0),
        (-5, 16_000, 0),
    ],
)
def test_known_lengths(samples: int, rate: int, frames: int) -> None:
    assert frame_count(samples, rate) == frames


def test_chunks_of_100_ms_give_2_or_3_frames_in_turn() -> None:
    counts = [frame_count(1_600 * chunks, SAMPLE_RATE) for chunks in range(1, 11)]
    assert [after - before for before, after in zip([0, *counts], counts, strict=False)] == [
        2,
        3,
    ] * 5


@given(fps=frame_rates, index=st.integers(0, TWO_HOURS * 60))
def test_frame_spans_tile_the_timeline(fps: Fraction, index: int) -> None:
    start, following = frame_start(index, fps), frame_start(index + 1, fps)
    length = following - start
    assert length in (int(SAMPLE_RATE / fps), int(SAMPLE_RATE / fps) + 1)
    assert start <= index / fps * SAMPLE_RATE < start + 1
    assert frame_ms(index, fps) <= frame_ms(index + 1, fps)


@given(fps=frame_rates, index=st.integers(1, TWO_HOURS * 60))
def test_a_frame_counts_once_all_its_samples_are_there(fps: Fraction, index: int) -> None:
    end = frame_start(index, fps)
    assert frame_count(end + 1, SAMPLE_RATE, fps) == index
    assert frame_count(end - 1, SAMPLE_RATE, fps) == max(1, index - 1)


def test_constants_fit_together() -> None:
    assert FPS == 25
    assert frame_start(1) == 2 * FEATURE_STEP == 640
    assert frame_ms(25) == 1_000


@pytest.mark.parametrize(
    ("given_", "rate"),
    [
        (29.97, Fraction(30_000, 1001)),
        (Fraction(2997, 100), Fraction(30_000, 1001)),
        (30_000 / 1001, Fraction(30_000, 1001)),
        (23.976, Fraction(24_000, 1001)),
        (23.98, Fraction(24_000, 1001)),
        (59.94, Fraction(60_000, 1001)),
        (24, Fraction(24)),
        (25.0, Fraction(25)),
        (29.9, Fraction(299, 10)),
        (12.5, Fraction(25, 2)),
    ],
)
def test_a_decimal_stands_for_the_rate_that_is_meant(
    given_: float | Fraction, rate: Fraction
) -> None:
    assert exact_rate(given_) == rate
