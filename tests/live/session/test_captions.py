"""Captions are given with the sound they belong to, once, in order, and none after an interrupt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipstream.errors import BufferFullError, OptionError
from lipstream.live.session.types import SessionEvent, SessionLimits
from lipstream.media.audio import AudioChunk
from lipstream.media.captions import Caption
from tests.live.harness import LiveHarness, RecordedSession, noise, pieces

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)


def captions_of(recorded: RecordedSession) -> list[str]:
    return [event.caption.text for event in recorded.events if event.caption is not None]


def watch(recorded: RecordedSession) -> list[tuple[SessionEvent, int]]:
    """Every event from now on, and how many units of speech were given out before it."""
    seen: list[tuple[SessionEvent, int]] = []
    recorded.session.add_listener(lambda event: seen.append((event, len(recorded.spoken))))
    return seen


@settings(max_examples=12, deadline=None)
@given(data=st.data(), rate=st.sampled_from(RATES), ms=st.integers(1, 300))
def test_captions_come_with_their_samples_however_both_were_cut(
    data: st.DataObject, rate: int, ms: int
) -> None:
    """Samples in any pieces, captions between any of them and in any order, but never too late."""
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(100)
    seen = watch(recorded)
    chunk = noise(max(rate * ms // 1000, 1), rate)
    starts = data.draw(st.lists(st.integers(0, 2 * len(chunk)), max_size=8), label="starts")
    cuts = data.draw(st.lists(st.integers(1, len(chunk)), max_size=6), label="cuts")
    utterance = recorded.session.open_utterance(rate)
    waiting = [Caption(str(number), start) for number, start in enumerate(starts)]
    pushed = 0
    for piece in pieces(chunk, cuts):
        for caption in data.draw(st.permutations(waiting)):
            if caption.start < pushed + len(piece):  # the latest that its samples can't overtake
                utterance.caption(caption)
                waiting.remove(caption)
        utterance.push(piece)
        pushed += len(piece)
        harness.run(data.draw(st.sampled_from([0, 0, 20, 70])))
    for caption in waiting:
        utterance.caption(caption)
    utterance.end()
    harness.run(ms + 500)

    last = len(recorded.spoken) - 1
    due = [start * 48_000 // rate // 1920 for start in sorted(starts)]
    found = [(event, unit) for event, unit in seen if event.caption is not None]
    assert [unit for _, unit in found] == [min(unit, last) for unit in due]
    assert [event.played_ms for event, _ in found] == [
        40 * unit if unit <= last else utterance.played_ms for unit in due
    ]
    assert {event.caption.text for event, _ in found if event.caption} == {
        str(number) for number in range(len(starts))
    }
    assert [event.kind for event, _ in seen] == ["started", *["caption"] * len(starts), "ended"]
    assert {event.sample_rate for event, _ in found} <= {rate}


def test_captions_follow_the_sound_across_a_hole() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(100)
    seen = watch(recorded)
    utterance = recorded.session.open_utterance(48_000)
    utterance.caption(Caption("before", 0))
    utterance.caption(Caption("after", 48_000))
    utterance.push(noise(48_000, 48_000))
    harness.run(2_000)
    assert captions_of(recorded) == ["before"] and recorded.session.counts.underruns
    utterance.push(noise(48_000, 48_000, 1))
    utterance.end()
    harness.run(2_000)
    assert [unit for event, unit in seen if event.caption is not None] == [0, 25]


def test_a_caption_that_comes_too_late_is_given_at_once() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(100)
    utterance = recorded.speak(noise(96_000, 48_000), end=False)
    harness.run(1_000)
    assert not captions_of(recorded)
    utterance.caption(Caption("late", 0))
    harness.run(40)
    assert captions_of(recorded) == ["late"]
    assert recorded.events[-1].played_ms == 40 * (len(recorded.spoken) - 1)


@pytest.mark.parametrize("how", ["interrupt", "cancel", "close"])
def test_nothing_is_given_after_an_interrupt(how: str) -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(100)
    utterance = recorded.speak(noise(96_000, 48_000), end=False)
    for number in range(20):
        utterance.caption(Caption(str(number), 4_800 * number))
    harness.run(600)
    before = captions_of(recorded)
    assert 0 < len(before) < 20
    {
        "interrupt": recorded.session.interrupt,
        "cancel": utterance.cancel,
        "close": recorded.session.close,
    }[how]()
    utterance.caption(Caption("dropped", 0))  # its owner may not know yet
    utterance.end()
    harness.run(2_000)
    assert captions_of(recorded) == before and recorded.kinds[-1] == "interrupted"


def test_a_listener_may_interrupt_between_two_captions_of_one_unit() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    harness.run(100)

    def stop(event: SessionEvent) -> None:
        if event.kind == "caption":
            recorded.session.interrupt()

    recorded.session.add_listener(stop)
    utterance = recorded.session.open_utterance(48_000)
    for text in ("one", "two"):
        utterance.caption(Caption(text, 0))
    utterance.push(noise(48_000, 48_000))
    harness.run(1_000)
    assert recorded.kinds == ["started", "caption", "interrupted"]
    assert captions_of(recorded) == ["one"]


def test_captions_of_queued_utterances_wait_for_their_turn() -> None:
    harness = LiveHarness()
    recorded = harness.open()
    for text in ("first", "second"):
        utterance = recorded.session.open_utterance(24_000)
        utterance.caption(Caption(text, 0))
        utterance.push(AudioChunk(np.full(12_000, 900, np.int16), 24_000))
        utterance.end()
    harness.run(2_000)
    assert [(event.kind, event.utterance) for event in recorded.events] == [
        (kind, number) for number in (1, 2) for kind in ("started", "caption", "ended")
    ]


def test_what_is_no_caption_is_refused_and_their_number_is_bounded() -> None:
    recorded = LiveHarness().open(limits=SessionLimits(captions=2))
    utterance = recorded.session.open_utterance(24_000)
    for start, end in ((-1, None), (5, 4)):
        with pytest.raises(OptionError, match=f"from sample {start}"):
            utterance.caption(Caption("word", start, end))
    utterance.caption(Caption("word", 0, 0))
    utterance.caption(Caption("word", 5))
    with pytest.raises(BufferFullError, match="2 captions"):
        utterance.caption(Caption("word", 6))
    utterance.end()
    with pytest.raises(OptionError, match="has ended"):
        utterance.caption(Caption("word", 0))
