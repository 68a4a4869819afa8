"""Barge-in: at once, exact, and nothing of what was to be said comes after it."""

from __future__ import annotations

import numpy as np
import pytest

from lipstream.live.session import SessionEvent
from tests.fakes import read_blend_weight
from tests.live.harness import Stage, babble, listener_hears


@pytest.mark.parametrize("after_ms", [130, 400, 777, 1500])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_an_interrupt_is_exact_and_at_once(after_ms: int, rate: int) -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    chunk = babble(10 * rate, rate)
    player.say(chunk)
    stage.run(after_ms // 10 * 10)
    units = len(player.units)
    played = player.sound()
    answer = player.session.interrupt()
    assert answer == len(played) // 48
    assert player.session.buffered_ms == 0
    stage.run(1_000)
    after = player.units[units:]
    assert not any(unit.speaking for unit in after)
    fading = after[0].samples.astype(int)
    goes_on = listener_hears(chunk)[len(played) : len(played) + 960].astype(int)
    assert (np.abs(fading[:960]) <= np.abs(goes_on)).all()
    assert np.abs(fading[:96] - goes_on[:96]).max() <= 0.1 * 32_768 + 1  # it fades, no click
    assert not fading[959:].any()
    assert not any(unit.samples.any() for unit in after[1:])
    blend_weights = [read_blend_weight(unit.frame) for unit in after]
    assert blend_weights[2:] == [0.0] * len(blend_weights[2:])
    assert np.array_equal(played, listener_hears(chunk)[: len(played)])
    assert player.events[-1] == SessionEvent("interrupted", 1, answer)
    assert player.in_order()


def test_an_interrupt_forgets_all_that_waits_and_leaves_no_trace() -> None:
    stage = Stage()
    player = stage.player()
    for seed in range(3):
        player.say(babble(48_000, 48_000, seed))
    stage.run(500)
    player.session.interrupt()
    batches = stage.scheduler.counts.encoded
    stage.run(200)
    assert stage.scheduler.counts.encoded == batches  # nothing of it is heard any more
    fresh = babble(24_000, 24_000, 9)
    before = len(player.spoken)
    player.say(fresh)
    stage.run(2_000)
    expected = listener_hears(fresh)
    assert np.array_equal(
        np.concatenate([unit.samples for unit in player.spoken[before:]]), expected
    )
    assert player.kinds == ["started", "interrupted", "started", "ended"]
    assert player.events[-1].utterance == 4


def test_late_results_of_an_interrupted_utterance_are_not_shown() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    player.say(babble(96_000, 48_000, 1))
    stage.run(300)
    stage.stalled = True
    stage.run(20)
    player.session.interrupt()
    second = babble(19_200, 48_000, 2)
    player.say(second)
    stage.stalled = False
    before = len(player.units)
    stage.run(1_500)
    said = np.concatenate([unit.samples for unit in player.units[before:] if unit.speaking])
    assert np.array_equal(said, listener_hears(second))


def test_interrupting_silence_changes_nothing() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    assert player.session.interrupt() == 0
    stage.run(200)
    assert player.events == [] and player.in_order()
    assert set(player.blend_weights) == {0.0} and player.session.counts.interrupts == 0


def test_interrupting_before_the_first_unit_plays_nothing() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(200)
    player.say(babble(48_000, 48_000))
    assert player.session.interrupt() == 0
    stage.run(500)
    assert not any(unit.samples.any() for unit in player.units)
    assert player.events == [SessionEvent("interrupted", 1, 0)]
