"""Barge-in: at once, exact, and nothing that was still to be spoken comes after it."""

from __future__ import annotations

import numpy as np
import pytest

from lipstream.live.session.types import SessionEvent
from tests.fakes import read_blend_weight
from tests.live.harness import LiveHarness, noise, resampled


@pytest.mark.parametrize("after_ms", [130, 400, 777, 1500])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_an_interrupt_is_exact_and_at_once(after_ms: int, rate: int) -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    chunk = noise(10 * rate, rate)
    recorded.speak(chunk)
    harness.run(after_ms // 10 * 10)
    units = len(recorded.units)
    played = recorded.sound()
    answer = recorded.session.interrupt()
    assert answer == len(played) // 48
    assert recorded.session.buffered_ms == 0
    harness.run(1_000)
    after = recorded.units[units:]
    assert not any(unit.speaking for unit in after)
    fading = after[0].samples.astype(int)
    goes_on = resampled(chunk)[len(played) : len(played) + 960].astype(int)
    assert (np.abs(fading[:960]) <= np.abs(goes_on)).all()
    assert np.abs(fading[:96] - goes_on[:96]).max() <= 0.1 * 32_768 + 1  # it fades, no click
    assert not fading[959:].any()
    assert not any(unit.samples.any() for unit in after[1:])
    blend_weights = [read_blend_weight(unit.frame) for unit in after]
    assert blend_weights[2:] == [0.0] * len(blend_weights[2:])
    assert np.array_equal(played, resampled(chunk)[: len(played)])
    assert recorded.events[-1] == SessionEvent("interrupted", 1, answer)
    assert recorded.in_order()


def test_an_interrupt_forgets_all_that_waits_and_leaves_no_trace() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    for seed in range(3):
        recorded.speak(noise(48_000, 48_000, seed))
    harness.run(500)
    recorded.session.interrupt()
    batches = harness.scheduler.counts.encoded
    harness.run(200)
    assert harness.scheduler.counts.encoded == batches  # nothing more of it is encoded
    fresh = noise(24_000, 24_000, 9)
    before = len(recorded.spoken)
    recorded.speak(fresh)
    harness.run(2_000)
    expected = resampled(fresh)
    assert np.array_equal(
        np.concatenate([unit.samples for unit in recorded.spoken[before:]]), expected
    )
    assert recorded.kinds == ["started", *["interrupted"] * 3, "started", "ended"]
    assert [event.utterance for event in recorded.events] == [1, 1, 2, 3, 4, 4]


def test_late_results_of_an_interrupted_utterance_are_not_shown() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    recorded.speak(noise(96_000, 48_000, 1))
    harness.run(300)
    harness.stalled = True
    harness.run(20)
    recorded.session.interrupt()
    second = noise(19_200, 48_000, 2)
    recorded.speak(second)
    harness.stalled = False
    before = len(recorded.units)
    harness.run(1_500)
    spoken = np.concatenate([unit.samples for unit in recorded.units[before:] if unit.speaking])
    assert np.array_equal(spoken, resampled(second))


def test_interrupting_silence_changes_nothing() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    assert recorded.session.interrupt() == 0
    harness.run(200)
    assert recorded.events == [] and recorded.in_order()
    assert set(recorded.blend_weights) == {0.0} and recorded.session.counts.interrupts == 0


def test_interrupting_before_the_first_unit_plays_nothing() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    recorded.speak(noise(48_000, 48_000))
    assert recorded.session.interrupt() == 0
    harness.run(500)
    assert not any(unit.samples.any() for unit in recorded.units)
    assert recorded.events == [SessionEvent("interrupted", 1, 0)]
