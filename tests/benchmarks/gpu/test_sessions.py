"""The load generator: it speaks in time, counts late frames, and finds the largest number."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu.response_latency import ObservedScheduler, TrackedClient
from lipstream.bench import sessions
from lipstream.bench.sessions import (
    LoadResult,
    LoadSetup,
    SimulatedClient,
    find_max_sessions,
    run_load,
    video_encoders,
)
from lipstream.bench.speech_signal import speech
from lipstream.engine import Engine
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.speech.base import Plan
from lipstream.timeline import SAMPLE_RATE
from tests.fakes import StripeRenderer, blank_avatar, stripe_backend
from tests.live.harness import FailingRenderer

HELD = LoadResult(1, False, 100, 0.0, 0.0, 100, {"made_p99": 40.0}, 2.0, 0.1)


def load_setup(renderer: StripeRenderer | None = None) -> LoadSetup:
    backend = stripe_backend(Plan(0, 1, 0))
    if renderer is not None:
        backend = replace(backend, renderer=renderer)
    return LoadSetup(
        Engine(backend),
        blank_avatar(),
        warm_up_s=1.2,
        scheduler=ObservedScheduler,
        client=TrackedClient,
    )


@pytest.mark.parametrize("chunk_ms", [100, 20])
def test_clients_speak_and_are_shown(chunk_ms: int) -> None:
    setup = replace(load_setup(), chunk_ms=chunk_ms)
    result = asyncio.run(run_load(setup, 2, 0.8, False))
    assert result.sessions == 2 and result.frames > 0 and result.chunk_ms == chunk_ms
    assert 0 <= result.late <= result.worst <= 1
    found = result.latency
    assert found["host_p50"] is None  # nothing was encoded
    for name in ("begun", "made", "out"):  # None on a machine that is too busy to begin in time
        middle, tail = found[f"{name}_p50"], found[f"{name}_p99"]
        assert middle is None or (tail is not None and 0 <= middle <= tail)


def test_a_chunk_is_out_with_the_last_of_its_frames() -> None:
    """Frames of 40 ms: the first chunk of 100 ms ends in the third, the second in the fifth."""
    setup = load_setup()
    client = SimulatedClient(setup, Scheduler(setup.engine), speech(1.0), None)
    client._pushed.extend([(100, 0.0), (200, 0.0), (300, 0.0)])
    client.begin()
    out = []
    for _ in range(6):
        client.count_out()
        out.append(len(client.out_ms))
    assert out == [0, 0, 1, 1, 2, 2]


def test_a_session_that_fails_ends_the_run() -> None:
    refusing = FailingRenderer(lambda request: request.conditioning is not None)
    with pytest.raises(RuntimeError, match="a session failed"):
        asyncio.run(run_load(load_setup(refusing), 1, 1.0, False))


@pytest.mark.parametrize(("limit", "found"), [(0, 0), (1, 1), (6, 6), (9, 9), (20, 9)])
def test_the_largest_number_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, limit: int, found: int
) -> None:
    async def run(setup: LoadSetup, sessions: int, seconds: float, encoded: bool) -> LoadResult:
        return replace(HELD, sessions=sessions, late=0.5 * (sessions > limit))

    monkeypatch.setattr(sessions, "run_load", run)
    tried = list(find_max_sessions(load_setup(), 9, 1.0, False))
    assert (tried[-1].sessions if tried[-1].held else 0) == found


def test_a_number_that_is_not_held_again_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    async def run(setup: LoadSetup, sessions: int, seconds: float, encoded: bool) -> LoadResult:
        seen.append(sessions)
        lucky = sessions == 4 and seen.count(4) == 1
        return replace(HELD, sessions=sessions, late=0.5 * (sessions > 3 and not lucky))

    monkeypatch.setattr(sessions, "run_load", run)
    tried = list(find_max_sessions(load_setup(), 4, 1.0, False))
    assert tried[-1].held and tried[-1].sessions == 3


@pytest.mark.parametrize(
    ("changes", "held"),
    [({}, True), ({"late": 0.01}, False), ({"worst": 0.021}, False), ({"frames": 0}, False)],
)
def test_what_is_held(changes: dict[str, Any], held: bool) -> None:
    assert replace(HELD, **changes).held == held
    assert replace(HELD, **changes).record()["held"] == held


def test_pictures_are_encoded() -> None:
    with video_encoders(False) as new_encoder:
        assert new_encoder() is None
    pytest.importorskip("aiortc", reason="encoders come with the extra server")
    with video_encoders(True) as new_encoder:
        encode = new_encoder()
        assert encode is not None
        made: Any = asyncio.run(_await(encode(np.zeros((64, 64, 3), np.uint8), 0)))
        assert made.key and made.payloads


async def _await(awaitable: Awaitable[object]) -> object:
    return await awaitable


def test_speech_is_loud_and_never_the_same() -> None:
    sound = speech(2.0)
    assert sound.dtype == np.float32 and len(sound) == 2 * SAMPLE_RATE
    assert np.abs(sound).max() == pytest.approx(0.3)
    assert np.array_equal(sound, speech(2.0)) and not np.array_equal(sound, speech(2.0, seed=1))
    blocks = np.abs(sound.reshape(-1, 1600)).max(1)
    assert blocks.max() > 3 * blocks.min()  # there are syllables
