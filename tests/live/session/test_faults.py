"""Speech that runs out, frames that are late, loops that stall: no word is lost, nothing drifts."""

from __future__ import annotations

import numpy as np
import pytest

from lipstream.live.session.types import SessionLimits
from tests.live.harness import LiveHarness, noise, pieces, resampled

LIMITS = SessionLimits()


def test_a_hole_of_two_seconds_is_silence_and_idle_and_loses_nothing() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    chunk = noise(96_000, 48_000)
    first, second = pieces(chunk, [48_000])
    utterance = recorded.speak(first, end=False)
    harness.run(3_000)
    utterance.push(second)
    utterance.end()
    harness.run(2_000)
    assert np.array_equal(recorded.sound(), resampled(chunk))
    assert recorded.session.counts.underruns == 1
    assert recorded.kinds == ["started", "ended"]
    assert recorded.in_order() and len(recorded.units) == 5_200 // 40
    spoken = [unit.speaking for unit in recorded.units]
    begin, stop = spoken.index(True), len(spoken) - spoken[::-1].index(True)
    hole = [index for index in range(begin, stop) if not spoken[index]]
    assert 45 <= len(hole) <= 60 and hole == list(range(hole[0], hole[-1] + 1))
    blend_weights = recorded.blend_weights
    assert np.abs(np.diff(blend_weights)).max() < 0.34
    assert set(blend_weights[hole[0] + 4 : hole[-1]]) == {0.0}


@pytest.mark.parametrize("chunk_ms", [20, 60, 100, 200])
def test_speech_in_real_time_has_no_holes(chunk_ms: int) -> None:
    """Also in large chunks: it begins late enough to last until the next one."""
    harness, rate = LiveHarness(), 24_000
    recorded = harness.open()
    harness.run(200)
    chunk = noise(3 * rate, rate)
    parts = pieces(chunk, [chunk_ms * rate // 1000] * (3_000 // chunk_ms - 1))
    with recorded.session.open_utterance(rate) as utterance:
        for part in parts:  # each comes when its last sample has been spoken
            harness.run(chunk_ms)
            utterance.push(part)
    harness.run(2_000)
    assert np.array_equal(recorded.sound(), resampled(chunk))
    assert recorded.session.counts.underruns == 0


def test_a_late_frame_is_repeated_and_dropped_while_the_sound_goes_on() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    chunk = noise(96_000, 48_000)
    recorded.speak(chunk)
    harness.run(600)
    harness.stalled = True
    harness.run(40 * (LIMITS.ahead + 3))  # so many units are drawn ahead, three are missing
    harness.stalled = False
    harness.run(2_000)
    assert np.array_equal(recorded.sound(), resampled(chunk))
    spoken = [unit.speaking for unit in recorded.units]
    begin, stop = spoken.index(True), len(spoken) - spoken[::-1].index(True)
    assert all(spoken[begin:stop])  # it never paused
    repeated = [unit for unit in recorded.units if not unit.fresh]
    assert 2 <= len(repeated) <= 4
    counts = recorded.session.counts
    assert counts.repeated == counts.dropped == len(repeated)
    assert recorded.in_order()  # no late frame was shown later


def test_too_many_late_frames_make_sound_and_picture_wait() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    chunk = noise(96_000, 48_000)
    recorded.speak(chunk)
    harness.run(600)
    harness.stalled = True
    harness.run(2_000)
    spoken = len(recorded.spoken)
    assert spoken <= 600 // 40 + LIMITS.ahead + LIMITS.patience
    harness.stalled = False
    harness.run(3_000)
    assert np.array_equal(recorded.sound(), resampled(chunk))
    assert recorded.session.counts.underruns == 1
    assert len(recorded.units) == 5_800 // 40  # the timeline never waits
    assert recorded.in_order()


@pytest.mark.parametrize("stall_ms", [50, 100, 150])
def test_a_short_stall_is_caught_up(stall_ms: int) -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    chunk = noise(48_000, 48_000)
    recorded.speak(chunk)
    harness.run(500)
    harness.clock.advance(stall_ms)
    harness.run(1_500)
    assert np.array_equal(recorded.sound(), resampled(chunk))
    assert recorded.session.counts.skipped == 0
    assert recorded.in_order()


@pytest.mark.parametrize("stall_ms", [200, 300, 1_000, 60_000])
@pytest.mark.parametrize("moment_ms", [100, 500, 990])
def test_after_a_stall_the_timeline_skips_and_no_word_is_lost(
    stall_ms: int, moment_ms: int
) -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    chunk = noise(48_000, 48_000)
    recorded.speak(chunk)
    harness.run(moment_ms)
    before = len(recorded.units)
    harness.clock.advance(stall_ms)
    harness.run(2_000)
    assert np.array_equal(recorded.sound(), resampled(chunk))
    indexes = [unit.index for unit in recorded.units]
    assert indexes == sorted(set(indexes))
    skipped = recorded.session.counts.skipped
    assert indexes[before] - indexes[before - 1] == skipped + 1
    assert abs(skipped - stall_ms // 40) <= 1
    # Once caught up, every unit is in its place again.
    assert indexes[-1] == harness.due(recorded)
    assert recorded.kinds == ["started", "ended"]


def test_a_stall_while_idle_skips_too() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(400)
    harness.clock.advance(5_000)
    harness.run(400)
    assert recorded.session.counts.skipped in (124, 125)
    indexes = [unit.index for unit in recorded.units]
    assert indexes[-1] == harness.due(recorded)
    assert all(unit.fresh for unit in recorded.units[-5:])
