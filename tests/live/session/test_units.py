"""The pump: units at their deadlines, with a real scheduler thread or a clock moved by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any

import numpy as np

from lipstream.engine import Engine
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.session.session import Session
from lipstream.live.session.types import SessionEvent, Unit
from lipstream.media.audio import AudioChunk
from tests.fakes import blank_avatar, read_stripes, stripe_backend
from tests.live.harness import FailingRenderer, LiveHarness, noise, resampled


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, 60))


def speak(session: Session, chunk: AudioChunk) -> None:
    with session.open_utterance(chunk.sample_rate) as utterance:
        utterance.push(chunk)


def start_scheduler() -> Scheduler:
    scheduler = Scheduler(Engine(stripe_backend()))
    scheduler.start()
    return scheduler


async def collect(session: Session, units: int) -> list[Unit]:
    """The next units of a session, and its iterator closed."""
    taken = []
    async with aclosing(session.units()) as source:
        async for unit in source:
            taken.append(unit)
            if len(taken) == units:
                break
    return taken


def test_units_come_from_a_thread_that_draws_and_a_clock_that_runs() -> None:
    async def scenario() -> None:
        scheduler, events = start_scheduler(), list[SessionEvent]()
        session = Session(blank_avatar(), scheduler)
        session.add_listener(events.append)
        chunk = noise(24_000, 48_000)
        speak(session, chunk)
        started = time.monotonic()
        taken = await collect(session, 30)
        assert time.monotonic() - started >= 29 * 0.040 - 0.001
        assert [unit.index for unit in taken] == sorted({unit.index for unit in taken})
        spoken = np.concatenate([unit.samples for unit in taken if unit.speaking])
        assert np.array_equal(spoken[:24_000], resampled(chunk))
        assert [event.kind for event in events] == ["started", "ended"]
        session.close()
        scheduler.close()

    run(scenario())


def test_sessions_share_the_thread_and_only_the_broken_one_suffers() -> None:
    bad, good = blank_avatar(), blank_avatar()

    async def scenario() -> None:
        backend = stripe_backend(batch=4)
        object.__setattr__(backend, "renderer", FailingRenderer(lambda one: one.avatar is bad))
        scheduler = Scheduler(Engine(backend))
        scheduler.start()
        sessions = [Session(avatar, scheduler) for avatar in (bad, good, good)]
        for session in sessions:
            speak(session, noise(24_000, 24_000))
        taken = await asyncio.gather(*(collect(session, 25) for session in sessions))
        for units in taken:
            spoken = np.concatenate([unit.samples for unit in units if unit.speaking])
            assert np.array_equal(spoken, resampled(noise(24_000, 24_000))[: len(spoken)])
        assert not any(unit.fresh for unit in taken[0])
        assert all(any(unit.fresh for unit in units) for units in taken[1:])
        for session in sessions:
            session.close()
        scheduler.close()

    run(scenario())


async def pumped(harness: LiveHarness, source: AsyncIterator[Unit], units: int) -> list[Unit]:
    """The next units while the clock is moved by hand."""
    taken: list[Unit] = []

    async def take() -> None:
        async for unit in source:
            taken.append(unit)
            if len(taken) == units:
                return

    taking = asyncio.ensure_future(take())
    while not taking.done():
        harness.settle()
        for _ in range(5):
            await asyncio.sleep(0)
        harness.clock.advance(10)
    await taking
    return taken


def test_the_pump_sleeps_to_its_deadlines() -> None:
    async def scenario() -> None:
        harness = LiveHarness()
        session = harness.open().session
        async with aclosing(session.units()) as source:
            taken = await pumped(harness, source, 50)
        assert [unit.index for unit in taken] == list(range(50))
        assert all(unit.fresh for unit in taken)
        assert 49 * 40 <= harness.clock.now_ms() - 1_000 <= 49 * 40 + 60

    run(scenario())


def test_a_blocked_loop_skips_units_but_no_words() -> None:
    async def scenario() -> None:
        harness = LiveHarness()
        session = harness.open().session
        chunk = noise(48_000, 48_000)
        async with aclosing(session.units()) as source:
            taken = await pumped(harness, source, 5)
            speak(session, chunk)
            taken += await pumped(harness, source, 10)
            harness.clock.advance(300)  # the loop was blocked for so long
            taken += await pumped(harness, source, 30)
        spoken = np.concatenate([unit.samples for unit in taken if unit.speaking])
        assert np.array_equal(spoken, resampled(chunk))
        assert session.counts.skipped in (6, 7)  # of 40 ms in 300
        assert taken[15].index == taken[14].index + 1 + session.counts.skipped
        session.close()

    run(scenario())


def test_a_session_goes_on_where_its_last_viewer_left() -> None:
    async def scenario() -> None:
        harness = LiveHarness()
        recorded = harness.open()
        session = recorded.session
        chunk = noise(48_000, 48_000)
        async with aclosing(session.units()) as source:
            taken = await pumped(harness, source, 5)
            speak(session, chunk)
            taken += await pumped(harness, source, 15)
        harness.clock.advance(20_000)
        async with aclosing(session.units()) as source:
            taken += await pumped(harness, source, 40)
        spoken = np.concatenate([unit.samples for unit in taken if unit.speaking])
        assert np.array_equal(spoken, resampled(chunk))
        assert [unit.index for unit in taken] == list(range(60))
        assert [read_stripes(unit.frame)[0] for unit in taken] == list(range(60))
        assert session.counts.skipped == 0
        assert recorded.kinds == ["started", "ended"]
        session.close()

    run(scenario())


def test_a_second_viewer_takes_over() -> None:
    async def scenario() -> None:
        harness = LiveHarness()
        session = harness.open().session
        first, second = session.units(), session.units()
        taken = await pumped(harness, first, 5)
        taken += await pumped(harness, second, 5)
        assert [unit async for unit in first] == []
        taken += await pumped(harness, second, 5)
        await second.aclose()
        assert [unit.index for unit in taken] == list(range(15))

    run(scenario())


def test_closing_ends_the_iterator() -> None:
    async def scenario() -> None:
        harness = LiveHarness()
        session = harness.open().session
        async with aclosing(session.units()) as source:
            await pumped(harness, source, 3)
            session.close()
            assert [unit async for unit in source] == []

    run(scenario())


def test_a_cancelled_pump_leaves_a_session_that_can_go_on() -> None:
    async def scenario() -> None:
        harness = LiveHarness()
        session = harness.open().session

        async def watch() -> None:
            async for _ in session.units():
                pass

        watching = asyncio.ensure_future(watch())
        await asyncio.sleep(0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        async with aclosing(session.units()) as source:
            assert len(await pumped(harness, source, 5)) == 5

    run(scenario())


def test_the_pump_opens_while_the_scheduler_does_nothing() -> None:
    async def scenario() -> None:
        harness = LiveHarness()
        harness.stalled = True
        session = harness.open().session
        async with aclosing(session.units()) as source:
            taken = await pumped(harness, source, 3)
        assert not any(unit.fresh for unit in taken)
        assert harness.clock.now_ms() <= 1_000 + 500 + 3 * 40 + 20

    run(scenario())
