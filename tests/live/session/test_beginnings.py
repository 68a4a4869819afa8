"""The start of an utterance: as soon as it can be spoken without a hole, and no later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.live.clock import ManualClock
from lipstream.rendering.base import FrameRequest
from lipstream.timeline import UNIT_MS, UNIT_SAMPLES
from tests.fakes import StripeRenderer, stripe_backend
from tests.live.harness import TICK_MS, LiveHarness, RecordedSession, noise, pieces

if TYPE_CHECKING:
    from lipstream.media.image import Image

SECONDS = 2
SLOW_MS = 60  # for a batch of speech
WAIT_MS = 150  # beyond the look-ahead, from the first sound to the first unit of it


def speak_live(rate: int, chunk_ms: int, offset_ms: int) -> tuple[RecordedSession, int]:
    """Speech as fast as it is spoken, and how long after its first chunk it was seen."""
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(400 + offset_ms)
    waiting = pieces(noise(SECONDS * rate, rate), [rate * chunk_ms // 1000] * 1000)
    waiting = [chunk for chunk in waiting if len(chunk)]
    first, seen, passed = harness.clock.now_ms(), 0, 0
    utterance = recorded.session.open_utterance(rate)
    while recorded.kinds[-1:] != ["ended"]:
        if waiting and passed % chunk_ms == 0:
            utterance.push(waiting.pop(0))
            if not waiting:
                utterance.end()
        if recorded.spoken and not seen:
            seen = harness.clock.now_ms() - TICK_MS - first
        harness.run(TICK_MS)
        passed += TICK_MS
        assert passed < 10_000, "it is never over"
    return recorded, seen


@given(
    rate=st.sampled_from([16_000, 24_000, 48_000]),
    chunk_ms=st.sampled_from([20, 40, 100, 200, 390]),
    offset_ms=st.integers(0, 3).map(lambda n: n * TICK_MS),
)
def test_speech_at_its_own_pace_begins_soon_and_has_no_hole(
    rate: int, chunk_ms: int, offset_ms: int
) -> None:
    recorded, seen = speak_live(rate, chunk_ms, offset_ms)
    assert recorded.kinds == ["started", "ended"]
    assert recorded.session.counts.underruns == 0
    assert seen <= recorded.session.look_ahead_ms + WAIT_MS


def test_speech_that_comes_at_once_begins_at_once() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(400)
    before = len(recorded.units)
    recorded.speak(noise(24_000, 24_000))
    harness.run(2 * UNIT_MS)
    assert any(unit.speaking for unit in recorded.units[before:])


@pytest.mark.parametrize("late_ms", [10, 30, 50])
def test_speech_that_turns_out_to_be_short_does_not_wait_for_more(late_ms: int) -> None:
    """Speech that could go on begins later, lest it runs out; its end may be known a bit later."""
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(400)
    utterance = recorded.speak(noise(4_800, 24_000), end=False)
    harness.run(late_ms)
    before = len(recorded.units)
    assert not recorded.spoken
    utterance.end()
    harness.run(3 * UNIT_MS)
    assert any(unit.speaking for unit in recorded.units[before:])
    harness.run(400)
    spoken = np.concatenate([unit.samples for unit in recorded.units if unit.speaking])
    assert len(spoken) == 5 * UNIT_SAMPLES and recorded.kinds == ["started", "ended"]
    assert recorded.in_order() and recorded.session.counts.repeated == 0


def test_speech_in_bursts_does_not_wait_for_its_end() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(400)
    before = len(recorded.units)
    recorded.speak(noise(12_000, 24_000), end=False)  # half a second, and more will come
    harness.run(2 * UNIT_MS)
    assert any(unit.speaking for unit in recorded.units[before:])


def test_a_beginning_is_not_moved_again_and_again() -> None:
    """Live speech behind an utterance that is just ending: its conditioning has to close first."""
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(400)
    recorded.speak(noise(9_600, 24_000))
    waiting = pieces(noise(24_000, 24_000, seed=1), [480] * 50)
    waiting = [chunk for chunk in waiting if len(chunk)]
    passed, utterance = 0, recorded.session.open_utterance(24_000)
    while recorded.kinds.count("ended") < 2:
        if waiting and passed % 20 == 0:
            utterance.push(waiting.pop(0))
            if not waiting:
                utterance.end()
        harness.run(TICK_MS)
        passed += TICK_MS
        assert passed < 10_000, "it is never over"
    renderer = harness.scheduler.engine.backend.renderer
    assert isinstance(renderer, StripeRenderer)
    drawn = sum(renderer.batches)
    assert drawn - len(recorded.units) <= 16  # planned ahead, or drawn again for one beginning each


class Network(StripeRenderer):
    """Takes `SLOW_MS` for frames of speech and nothing for others; remembers those of speech."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.spoken: list[int] = []

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        speech = [request.index for request in requests if request.conditioning is not None]
        self.spoken += speech
        if speech:
            self.clock.advance(SLOW_MS)
        return super().render(requests)


def test_a_beginning_leaves_time_to_draw_it() -> None:
    """Else its frames are drawn in vain, and again for a later one."""
    network = Network()
    harness = LiveHarness(stripe_backend(batch=4, renderer=network))
    network.clock = harness.clock
    recorded = harness.open()
    harness.run(400)
    for seed in range(4):
        recorded.speak(noise(14_400, 24_000, seed))
        harness.run(1_500)
        if seed == 0:  # now it is known how long it takes
            network.spoken.clear()
    assert recorded.kinds == ["started", "ended"] * 4
    assert len(network.spoken) == len(set(network.spoken)), network.spoken
