"""Texts that are said: each has its place, its captions, and an end that cancels its synthesis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import numpy as np
import pytest

from lipstream.errors import BufferFullError, LipstreamError, OptionError, SynthesisError
from lipstream.live.session.session import Session
from lipstream.live.session.types import SessionLimits
from lipstream.live.session.utterance import Utterance
from tests.fake_synthesizer import SpellingSynthesizer, heard
from tests.live.harness import LiveHarness, RecordedSession, noise

FIVE = "this one has five words"
Scene = Callable[[LiveHarness, RecordedSession], Awaitable[None]]


def play(scene: Scene, limits: SessionLimits | None = None) -> RecordedSession:
    """Run `scene` on an event loop, after a moment of idling."""
    harness = LiveHarness()
    recorded = harness.open(limits=limits)

    async def run() -> None:
        await harness.play(100)
        await scene(harness, recorded)
        recorded.session.close()
        await recorded.session.wait_closed()

    asyncio.run(run())
    return recorded


def finals(recorded: RecordedSession) -> list[tuple[str, int]]:
    kinds = ("ended", "interrupted", "failed")
    return [(event.kind, event.utterance) for event in recorded.events if event.kind in kinds]


def test_a_text_is_spoken_with_its_captions() -> None:
    voice = SpellingSynthesizer()

    async def scene(harness: LiveHarness, recorded: RecordedSession) -> None:
        utterance = recorded.session.say(FIVE, voice, "ben")
        assert not utterance.finished and recorded.session.synthesizing
        await harness.play(2_000)
        assert utterance.state == "ended" and not recorded.session.synthesizing

    recorded = play(scene)
    assert heard(recorded.units) == FIVE and voice.asked == [(FIVE, "ben")]
    captions = [event.caption for event in recorded.events if event.caption is not None]
    assert " ".join(caption.text for caption in captions) == FIVE
    assert [caption.opens_line for caption in captions] == [True, *[False] * 4]
    assert recorded.kinds == ["started", *["caption"] * 5, "ended"] and not voice.cancelled


def test_texts_and_sound_are_spoken_in_the_order_in_which_they_were_opened() -> None:
    """The second text comes before the sound, whose owner is faster than the synthesizer."""
    voice = SpellingSynthesizer()

    async def scene(harness: LiveHarness, recorded: RecordedSession) -> None:
        for text in ("first", "second"):
            recorded.session.say(text, voice)
        recorded.speak(noise(4_800, 48_000))
        recorded.session.say("third", voice)
        await harness.play(2_000)

    recorded = play(scene)
    assert finals(recorded) == [("ended", number) for number in (1, 2, 3, 4)]
    assert recorded.plays(3, noise(4_800, 48_000))
    spoken = {
        n: np.concatenate(sound)[480::960] // 100 for n, sound in recorded.by_utterance.items()
    }
    words = ["".join(map(chr, spoken[number][spoken[number] > 0])) for number in (1, 2, 4)]
    assert words == ["first", "second", "third"]


@pytest.mark.parametrize("how", ["interrupt", "cancel", "close"])
@pytest.mark.parametrize("hangs_at", [0, 1, 3], ids=["request", "first", "between"])
def test_whatever_ends_a_text_cancels_its_synthesis_at_once(how: str, hangs_at: int) -> None:
    voice = SpellingSynthesizer(hangs_at)

    async def scene(harness: LiveHarness, recorded: RecordedSession) -> None:
        utterance = recorded.session.say(FIVE, voice)
        queued = recorded.session.say("never heard", voice)
        await harness.play(500)
        assert not voice.cancelled
        units = len(recorded.units)
        end(recorded.session, utterance, how)
        for _ in range(5):
            await asyncio.sleep(0)
        assert voice.cancelled == [FIVE]
        assert utterance.state == "cancelled"
        if how != "cancel":
            await harness.play(500)
            assert queued.state == "cancelled" and len(voice.asked) == 1
            assert not any(unit.speaking for unit in recorded.units[units:])
            assert not recorded.session.synthesizing

    recorded = play(scene)
    assert finals(recorded)[0] == ("interrupted", 1)


def end(session: Session, utterance: Utterance, how: str) -> None:
    {"interrupt": session.interrupt, "cancel": utterance.cancel, "close": session.close}[how]()


def test_a_text_that_waits_is_cancelled_without_having_been_asked_for() -> None:
    voice = SpellingSynthesizer(hangs_at=1)

    async def scene(harness: LiveHarness, recorded: RecordedSession) -> None:
        first, second, third = (recorded.session.say(text, voice) for text in ("a b", "c", "d"))
        await harness.play(200)
        second.cancel()
        voice.hangs_at = None
        first.cancel()
        await harness.play(1_000)
        assert third.state == "ended"

    recorded = play(scene)
    assert [text for text, _ in voice.asked] == ["a b", "d"] and heard(recorded.units)[-1] == "d"


def test_an_error_is_told_once_and_the_session_goes_on() -> None:
    """What was synthesized before it is spoken."""
    error = SynthesisError("the provider answered 500.")
    voice = SpellingSynthesizer(hangs_at=2, errors={FIVE: error})

    async def scene(harness: LiveHarness, recorded: RecordedSession) -> None:
        recorded.session.say(FIVE, voice)
        recorded.session.say("go on", voice)
        await harness.play(2_000)

    recorded = play(scene)
    assert finals(recorded) == [("failed", 1), ("ended", 2)]
    (failed,) = (event for event in recorded.events if event.kind == "failed")
    assert failed.error is error and failed.played_ms == 20 * len("this one")
    assert heard(recorded.units) == "this onego on"


def test_an_error_before_the_first_sound_is_told_while_others_speak() -> None:
    error = SynthesisError("the provider answered 401.")
    voice = SpellingSynthesizer(errors={"refused": error})

    async def scene(harness: LiveHarness, recorded: RecordedSession) -> None:
        recorded.speak(noise(48_000, 48_000), end=False)
        await harness.play(200)
        recorded.session.say("refused", voice)
        await harness.play(100)
        assert finals(recorded) == [("failed", 2)] and recorded.session.speaking

    play(scene)


@pytest.mark.parametrize("error", [KeyError("secret"), OptionError("impossible.")])
def test_a_broken_synthesizer_does_not_hold_up_the_session(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    voice = SpellingSynthesizer(errors={"broken": error})

    async def scene(harness: LiveHarness, recorded: RecordedSession) -> None:
        recorded.session.say("broken", voice)
        recorded.session.say("whole", voice)
        await harness.play(1_000)

    with caplog.at_level("INFO"):
        recorded = play(scene)
    assert finals(recorded) == [("failed", 1), ("ended", 2)]
    assert isinstance(recorded.events[0].error, LipstreamError)
    assert "secret" not in caplog.text and "secret" not in str(recorded.events[0].error)


def test_an_interrupt_of_what_is_left_after_an_error_is_no_second_end() -> None:
    voice = SpellingSynthesizer(hangs_at=4, errors={FIVE: SynthesisError("it has stalled.")})

    async def scene(harness: LiveHarness, recorded: RecordedSession) -> None:
        recorded.session.say(FIVE, voice)
        await harness.play(200)
        recorded.session.interrupt()
        await harness.play(1_000)

    assert finals(play(scene)) == [("interrupted", 1)]


def test_a_long_text_is_pushed_as_there_is_room() -> None:
    text = "long " * 40
    voice = SpellingSynthesizer()

    async def scene(harness: LiveHarness, recorded: RecordedSession) -> None:
        recorded.session.say(text, voice)
        most = 0
        for _ in range(60):
            await harness.play(100)
            most = max(most, recorded.session.buffered_ms)
        assert most <= 1_000

    recorded = play(scene, SessionLimits(buffer_s=1.0))
    assert heard(recorded.units) == text and recorded.session.counts.underruns == 0


def test_four_texts_wait_and_no_more() -> None:
    voice = SpellingSynthesizer()

    async def scene(harness: LiveHarness, recorded: RecordedSession) -> None:
        for _ in range(4):
            recorded.session.say(FIVE, voice)
        with pytest.raises(BufferFullError, match="4 texts"):
            recorded.session.say(FIVE, voice)
        for wrong, name in (("  ", None), ("hello", "carla")):
            with pytest.raises(OptionError):
                recorded.session.say(wrong, voice, name)
        await harness.play(300)
        recorded.session.say(FIVE, voice)  # one is being heard
        recorded.session.interrupt()
        for _ in range(4):
            recorded.session.say(FIVE, voice)
        recorded.session.close()
        with pytest.raises(OptionError, match="closed"):
            recorded.session.say(FIVE, voice)

    play(scene)


def test_a_synthesizer_that_cannot_be_cancelled_keeps_nobody_waiting() -> None:
    class Stubborn(SpellingSynthesizer):
        async def synthesize(self, text, voice=None):  # type: ignore[no-untyped-def]
            async with aclosing(super().synthesize(text, voice)) as speech:
                try:
                    async for part in speech:
                        yield part
                finally:
                    if text == "stuck here":
                        await released.wait()

    released, voice = asyncio.Event(), Stubborn(hangs_at=1)

    async def scene(harness: LiveHarness, recorded: RecordedSession) -> None:
        recorded.session.say("stuck here", voice)
        recorded.session.say("next", voice)
        await harness.play(200)
        recorded.session.interrupt()
        recorded.session.say("word", voice)
        await harness.play(500)
        released.set()

    assert finals(play(scene)) == [("interrupted", 1), ("interrupted", 2), ("ended", 3)]
