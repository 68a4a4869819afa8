"""When an utterance begins: as soon as it can be said without a hole, and no later."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.timeline import UNIT_MS, UNIT_SAMPLES
from tests.live import TICK_MS, Player, Stage, babble, pieces

SECONDS = 2
WAIT_MS = 150  # beyond the look-ahead, from the first sound to the first unit of it


def speak_live(rate: int, chunk_ms: int, offset_ms: int) -> tuple[Player, int]:
    """Speech as fast as it is spoken, and how long after its first chunk it was seen."""
    stage = Stage()
    player = stage.player()
    stage.run(400 + offset_ms)
    waiting = pieces(babble(SECONDS * rate, rate), [rate * chunk_ms // 1000] * 1000)
    waiting = [chunk for chunk in waiting if len(chunk)]
    first, seen, passed = stage.clock.now_ms(), 0, 0
    while waiting or player.kinds[-1:] != ["ended"]:
        if waiting and passed % chunk_ms == 0:
            player.say(waiting.pop(0), end=not waiting)
        if player.spoken and not seen:
            seen = stage.clock.now_ms() - TICK_MS - first
        stage.run(TICK_MS)
        passed += TICK_MS
        assert passed < 10_000, "it is never over"
    return player, seen


@given(
    rate=st.sampled_from([16_000, 24_000, 48_000]),
    chunk_ms=st.sampled_from([20, 40, 100, 200, 390]),
    offset_ms=st.integers(0, 3).map(lambda n: n * TICK_MS),
)
def test_speech_at_its_own_pace_begins_soon_and_has_no_hole(
    rate: int, chunk_ms: int, offset_ms: int
) -> None:
    player, seen = speak_live(rate, chunk_ms, offset_ms)
    assert player.kinds == ["started", "ended"]
    assert player.session.counts.underruns == 0
    assert seen <= player.session.look_ahead_ms + WAIT_MS


def test_speech_that_comes_at_once_begins_at_once() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(400)
    before = len(player.units)
    player.say(babble(24_000, 24_000))
    stage.run(2 * UNIT_MS)
    assert any(unit.speaking for unit in player.units[before:])


@pytest.mark.parametrize("late_ms", [10, 30, 50])
def test_speech_that_turns_out_to_be_short_does_not_wait_for_more(late_ms: int) -> None:
    """What could go on for long begins later, lest it runs out; its end may be told a bit later."""
    stage = Stage()
    player = stage.player()
    stage.run(400)
    player.say(babble(4_800, 24_000), end=False)
    stage.run(late_ms)
    before = len(player.units)
    assert not player.spoken
    player.session.end()
    stage.run(3 * UNIT_MS)
    assert any(unit.speaking for unit in player.units[before:])
    stage.run(400)
    spoken = np.concatenate([unit.samples for unit in player.units if unit.speaking])
    assert len(spoken) == 5 * UNIT_SAMPLES and player.kinds == ["started", "ended"]
    assert player.in_order() and player.session.counts.repeated == 0


def test_speech_in_bursts_does_not_wait_for_its_end() -> None:
    stage = Stage()
    player = stage.player()
    stage.run(400)
    before = len(player.units)
    player.say(babble(12_000, 24_000), end=False)  # half a second, and more will come
    stage.run(2 * UNIT_MS)
    assert any(unit.speaking for unit in player.units[before:])
