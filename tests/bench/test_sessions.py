"""The load generator: it speaks in time, counts what was late, and looks for the largest number."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lipstream.bench import sessions
from lipstream.bench.encoding import encoders_there, open_encoders
from lipstream.bench.sessions import Crowd, House, find_most, hold_crowd
from lipstream.bench.sound import speech
from lipstream.engine import Engine
from lipstream.live.scheduler import Scheduler
from lipstream.speech.base import Plan
from lipstream.timeline import SAMPLE_RATE
from tests.fakes import StripeEncoder, StripeRenderer, blank_avatar, stripe_backend
from tests.live.harness import FussyRenderer

HELD = Crowd(
    sessions=1,
    encoded=False,
    frames=100,
    late=0.0,
    worst=0.0,
    chunk_ms=100,
    begun_p50=10.0,
    begun_p99=20.0,
    made_p50=30.0,
    made_p99=40.0,
    p50=300.0,
    p99=320.0,
    longest=330.0,
    host_p50=None,
    host_p99=None,
    batch=2.0,
    cpu=0.1,
)


def house(renderer: StripeRenderer | None = None) -> House:
    encoder = StripeEncoder(Plan(0, 1, 0))
    return House(renderer or StripeRenderer(), encoder, blank_avatar(), 4, warm_up_s=1.2)


def test_people_talk_and_are_shown() -> None:
    crowd = asyncio.run(hold_crowd(house(), 2, 1.0, False))
    assert crowd.sessions == 2 and crowd.frames > 0
    assert 0 <= crowd.late <= crowd.worst <= 1
    if crowd.p50 is not None:  # on a machine that is not too busy to let them begin
        assert crowd.p99 is not None and crowd.longest is not None
        assert 0 < crowd.p50 <= crowd.p99 <= crowd.longest
    if crowd.made_p50 is not None:
        assert crowd.begun_p50 is not None and 0 <= crowd.begun_p50 <= crowd.made_p50
        assert crowd.begun_p99 is not None and crowd.made_p99 is not None
        assert crowd.begun_p99 <= crowd.made_p99
    assert crowd.host_p50 is None  # nothing was encoded


def test_people_may_talk_in_small_packets() -> None:
    crowd = asyncio.run(hold_crowd(replace(house(), chunk_ms=20), 1, 1.0, False))
    assert crowd.chunk_ms == 20 and crowd.frames > 0


def test_a_chunk_is_out_with_the_last_of_its_frames() -> None:
    """Frames of 40 ms: the first chunk of 100 ms ends in the third, the second in the fifth."""
    scheduler = Scheduler(Engine(stripe_backend(Plan(0, 1, 0))))
    person = sessions._Person(house(), scheduler, speech(1.0), None, None)
    person._pushed.extend([(100, 0.0), (200, 0.0), (300, 0.0)])
    person.begin()
    out = []
    for _ in range(6):
        person._out()
        out.append(len(person.latencies))
    assert out == [0, 0, 1, 1, 2, 2]


def test_frames_that_are_never_drawn_are_late() -> None:
    refusing = FussyRenderer(lambda request: request.conditioning is not None)
    with pytest.raises(RuntimeError, match="could not speak"):
        asyncio.run(hold_crowd(house(refusing), 1, 1.0, False))


@pytest.mark.parametrize(("limit", "found"), [(0, 0), (1, 1), (6, 6), (9, 9), (20, 9)])
def test_the_largest_number_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, limit: int, found: int
) -> None:
    async def hold(house: House, sessions: int, seconds: float, encoded: bool) -> Crowd:
        return replace(HELD, sessions=sessions, late=0.5 * (sessions > limit))

    monkeypatch.setattr(sessions, "hold_crowd", hold)
    tried = list(find_most(house(), 9, 1.0, False))
    assert (tried[-1].sessions if tried[-1].held else 0) == found


def test_a_number_that_is_not_held_again_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    async def hold(house: House, sessions: int, seconds: float, encoded: bool) -> Crowd:
        seen.append(sessions)
        lucky = sessions == 4 and seen.count(4) == 1
        return replace(HELD, sessions=sessions, late=0.5 * (sessions > 3 and not lucky))

    monkeypatch.setattr(sessions, "hold_crowd", hold)
    tried = list(find_most(house(), 4, 1.0, False))
    assert tried[-1].held and tried[-1].sessions == 3


@pytest.mark.parametrize(
    ("changes", "held"),
    [({}, True), ({"late": 0.01}, False), ({"worst": 0.021}, False), ({"frames": 0}, False)],
)
def test_what_is_held(changes: dict[str, Any], held: bool) -> None:
    assert replace(HELD, **changes).held == held
    assert replace(HELD, **changes).record()["held"] == held


def test_pictures_are_encoded_where_that_can_be_done() -> None:
    with open_encoders(False) as (pool, encoder):
        assert pool is None and encoder() is None
    if not encoders_there():
        pytest.skip("encoding needs PyAV and aiortc")
    with open_encoders(True) as (pool, encoder):
        encode = encoder()
        assert pool is not None and encode is not None
        made: Any = pool.submit(encode, np.zeros((64, 64, 3), np.uint8), 0).result()
        assert made.key and made.payloads


def test_speech_is_loud_and_never_the_same() -> None:
    sound = speech(2.0)
    assert sound.dtype == np.float32 and len(sound) == 2 * SAMPLE_RATE
    assert np.abs(sound).max() == pytest.approx(0.3)
    assert np.array_equal(sound, speech(2.0)) and not np.array_equal(sound, speech(2.0, seed=1))
    blocks = np.abs(sound.reshape(-1, 1600)).max(1)
    assert blocks.max() > 3 * blocks.min()  # there are syllables
