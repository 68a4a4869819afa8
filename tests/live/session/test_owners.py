"""Utterances of several owners: they play in turn, whole, and none can touch another's."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipstream.live.session.types import SessionEvent, SessionLimits, Unit
from lipstream.live.session.utterance import Utterance
from lipstream.media.audio import AudioChunk
from tests.live.harness import LiveHarness, noise, pieces, resampled

FINAL = ("ended", "interrupted", "failed")


@pytest.mark.parametrize("rates", [(24_000, 48_000), (48_000, 24_000), (48_000, 48_000)])
@pytest.mark.parametrize("first_ends", ["before", "after"])
def test_two_speakers_take_turns(rates: tuple[int, int], first_ends: str) -> None:
    """However their chunks alternate, neither loses a sample to the other."""
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    chunks = [noise(rate // 2, rate, seed) for seed, rate in enumerate(rates)]
    speakers = [recorded.session.open_utterance(rate) for rate in rates]
    cut = [pieces(chunk, [len(chunk) // 5] * 4) for chunk in chunks]
    for parts in zip(*cut, strict=True):
        for speaker, part in zip(speakers, parts, strict=True):
            speaker.push(part)
        harness.run(20)
    for speaker in speakers if first_ends == "before" else reversed(speakers):
        speaker.end()
    harness.run(2_500)
    assert all(recorded.plays(number, chunk) for number, chunk in enumerate(chunks, 1))
    assert [(event.kind, event.utterance) for event in recorded.events] == [
        ("started", 1),
        ("ended", 1),
        ("started", 2),
        ("ended", 2),
    ]
    assert [speaker.state for speaker in speakers] == ["ended"] * 2


def test_an_utterance_without_sound_keeps_its_place() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    upload = recorded.session.open_utterance(48_000)
    second = recorded.speak(noise(9_600, 48_000, 2))
    harness.run(1_000)
    assert not recorded.spoken and upload.state == second.state == "queued"
    upload.push(noise(4_800, 48_000, 1))
    upload.end()
    harness.run(1_500)
    assert recorded.plays(1, noise(4_800, 48_000, 1)) and recorded.plays(2, noise(9_600, 48_000, 2))


def test_a_cancelled_utterance_lets_the_next_one_speak() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    first = recorded.speak(noise(96_000, 48_000, 1))
    second = recorded.speak(noise(9_600, 48_000, 2))
    harness.run(400)
    before = len(recorded.spoken)
    first.cancel()
    first.cancel()
    assert first.state == "cancelled" and first.played_ms == 40 * before
    harness.run(1_000)
    assert recorded.plays(2, noise(9_600, 48_000, 2))
    assert recorded.events[1] == SessionEvent("interrupted", 1, 40 * before)
    assert second.state == "ended" and recorded.session.counts.interrupts == 0


def test_the_next_utterance_begins_when_the_cancelled_one_has_faded_out() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    first = recorded.speak(noise(28_800, 48_000, 1))
    recorded.speak(noise(9_600, 48_000, 2))
    harness.run(400)
    units = len(recorded.units)
    first.cancel()
    harness.run(1_000)
    fading, *others = [unit for unit in recorded.units[units:] if not unit.speaking]
    assert fading is recorded.units[units] and fading.samples[:960].any()
    assert not any(unit.samples.any() for unit in others)
    assert recorded.units[units + 1].speaking


def test_a_waiting_utterance_is_cancelled_without_a_trace() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    first = recorded.speak(noise(48_000, 48_000, 1))
    second = recorded.speak(noise(48_000, 48_000, 2))
    third = recorded.speak(noise(9_600, 48_000, 3))
    harness.run(300)
    second.cancel()
    harness.run(2_500)
    assert recorded.plays(1, noise(48_000, 48_000, 1)) and recorded.plays(
        3, noise(9_600, 48_000, 3)
    )
    assert [one.state for one in (first, second, third)] == ["ended", "cancelled", "ended"]
    assert second.played_ms == second.buffered_ms == 0


def test_an_interrupt_drops_what_is_still_being_pushed() -> None:
    """An upload without sound yet, speech that plays, and its rest that comes after."""
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(200)
    speaking = recorded.speak(noise(24_000, 48_000, 1), end=False)
    upload = recorded.session.open_utterance(48_000)
    harness.run(300)
    before = len(recorded.spoken)
    assert recorded.session.interrupt() == speaking.played_ms == 40 * before
    for utterance in (speaking, upload):
        utterance.push(noise(24_000, 48_000, 2))
        utterance.end()
    harness.run(2_000)
    assert len(recorded.spoken) == before
    assert recorded.events[1:] == [
        SessionEvent("interrupted", 1, 40 * before),
        SessionEvent("interrupted", 2, 0),
    ]
    recorded.speak(noise(9_600, 48_000, 3))
    harness.run(1_000)
    assert recorded.kinds[-2:] == ["started", "ended"]


def test_speech_that_is_still_synthesised_is_interrupted_too() -> None:
    async def scenario() -> None:
        harness = LiveHarness()
        recorded = harness.open()
        harness.run(200)

        async def synthesise(utterance: Utterance) -> None:
            with utterance:
                for seed in range(10):
                    await asyncio.sleep(0)  # the next sentence is being made
                    await utterance.room(400)
                    utterance.push(noise(19_200, 48_000, seed))

        utterance = recorded.session.open_utterance(48_000)
        task = asyncio.ensure_future(synthesise(utterance))
        while utterance.played_ms < 200:
            await asyncio.sleep(0)
            harness.run(40)
        before = len(recorded.spoken)
        assert recorded.session.interrupt() == 40 * before == utterance.played_ms
        await task
        harness.run(6_000)
        assert len(recorded.spoken) == before and utterance.state == "cancelled"
        assert recorded.kinds == ["started", "interrupted"]

    asyncio.run(scenario())


def test_an_error_of_its_owner_cancels_an_utterance() -> None:
    recorded = LiveHarness().open()
    with (
        pytest.raises(ZeroDivisionError),
        recorded.session.open_utterance(48_000) as utterance,
    ):
        utterance.push(noise(480, 48_000))
        raise ZeroDivisionError
    assert utterance.state == "cancelled" and recorded.kinds == ["interrupted"]
    assert repr(utterance) == "<Utterance 1: cancelled, 0 ms played>"


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("stalled", [False, True])
def test_an_interrupt_while_the_first_picture_is_awaited(again: bool, stalled: bool) -> None:
    """At connect, and at a reconnect in the middle of speech; the pump goes on."""

    async def scenario() -> None:
        harness = LiveHarness()
        recorded = harness.open()
        session = recorded.session
        recorded.speak(noise(48_000, 48_000))
        if again:
            async with aclosing(session.units()) as source:
                await take(harness, source.__anext__, 10)
        harness.stalled = True
        async with aclosing(session.units()) as source:
            first = asyncio.ensure_future(source.__anext__())
            await asyncio.sleep(0)
            session.interrupt()
            harness.stalled = stalled
            began = harness.clock.now_ms()
            while not first.done():
                await step(harness)
            assert harness.clock.now_ms() - began <= (320 if stalled else 20)
            harness.stalled = False
            units = [first.result(), *await take(harness, source.__anext__, 20)]
        assert not any(unit.speaking or unit.samples.any() for unit in units)
        assert recorded.kinds == (["started", "interrupted"] if again else ["interrupted"])

    asyncio.run(scenario())


async def step(harness: LiveHarness) -> None:
    harness.settle()
    for _ in range(5):
        await asyncio.sleep(0)
    harness.clock.advance(10)


async def take(harness: LiveHarness, following: object, count: int) -> list[Unit]:
    """The next units while the clock moves."""
    units = []
    for _ in range(count):
        unit = asyncio.ensure_future(following())  # type: ignore[operator]
        while not unit.done():
            await step(harness)
        units.append(unit.result())
    return units


def test_a_listener_may_interrupt_and_close() -> None:
    for act in ("interrupt", "close"):
        harness = LiveHarness()
        recorded = harness.open()
        recorded.session.add_listener(
            lambda event, session=recorded.session, act=act: (  # type: ignore[misc]
                getattr(session, act)() if event.kind == "started" else None
            )
        )
        recorded.speak(noise(48_000, 48_000))
        harness.run(1_000)
        assert recorded.kinds == ["started", "interrupted"]
        assert recorded.events[-1].played_ms == 40 and len(recorded.spoken) == 1


@dataclass
class Owner:
    """An owner's view of one utterance: what was pushed before it was finished."""

    utterance: Utterance
    rate: int
    pushed: list[AudioChunk] = field(default_factory=list)


ACTIONS = st.one_of(
    st.tuples(st.just("open"), st.sampled_from([8_000, 24_000, 48_000])),
    st.tuples(st.just("push"), st.integers(0, 5), st.integers(1, 300)),
    st.tuples(st.just("end"), st.integers(0, 5)),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
    st.tuples(st.just("interrupt")),
    st.tuples(st.just("run"), st.integers(1, 40)),
)


@settings(max_examples=60)
@given(st.lists(ACTIONS, max_size=40))
def test_whatever_owners_do_speech_is_played_in_the_order_of_opening(
    actions: list[tuple[object, ...]],
) -> None:
    """All that is given out is a beginning of each utterance, whole where it has ended."""
    harness = LiveHarness()
    recorded = harness.open(limits=SessionLimits(utterances=1_000))
    owners: list[Owner] = []
    seed = 0
    for name, *arguments in actions:
        if name == "open":
            rate = arguments[0]
            owners.append(Owner(recorded.session.open_utterance(rate), rate))  # type: ignore[arg-type]
        elif name == "interrupt":
            recorded.session.interrupt()
        elif name == "run":
            harness.run(10 * arguments[0])  # type: ignore[operator]
        elif owners:
            owner = owners[arguments[0] % len(owners)]  # type: ignore[operator]
            if name == "push" and not owner.utterance._buffer.closed:
                seed += 1
                count = owner.rate * arguments[1] // 1000  # type: ignore[operator]
                chunk = noise(count, owner.rate, seed)
                if not owner.utterance.finished:
                    owner.pushed.append(chunk)
                owner.utterance.push(chunk)
            elif name != "push":
                getattr(owner.utterance, str(name))()
    for owner in owners:
        owner.utterance.end()
    pushed_ms = sum(300 * len(owner.pushed) for owner in owners)
    harness.run(pushed_ms + 1_000 + 500 * len(owners))

    for number, owner in enumerate(owners, 1):
        events = [event for event in recorded.events if event.utterance == number]
        assert [event.kind in FINAL for event in events].count(True) == 1
        assert events[-1].kind in FINAL and len(events) <= 2
        assert events[-1].played_ms == owner.utterance.played_ms
        sound = np.concatenate([np.zeros(0, np.int16), *recorded.by_utterance.get(number, [])])
        whole = np.zeros(0, np.int16)
        if owner.pushed:
            samples = np.concatenate([chunk.samples for chunk in owner.pushed])
            whole = resampled(AudioChunk(samples, owner.rate))
        played = owner.utterance.played_ms * 48
        assert np.array_equal(sound[:played], whole[:played])
        if owner.utterance.state == "ended":
            assert np.array_equal(sound[: len(whole)], whole) and not sound[len(whole) :].any()
        else:
            assert owner.utterance.state == "cancelled"
    order = [number for number in recorded.by_utterance]
    assert order == sorted(order) and recorded.in_order()
