"""Speech that was sent to a server, and what the server says of it."""

from __future__ import annotations

from pipecat_lipstream.held_frames import BEGINNING, END, NEARLY_MS, PAUSE_S
from pipecat_lipstream.sent_speech import SentSpeech


class Speech(SentSpeech):
    """With a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        super().__init__(lambda: self.now)


def said(*ms: float) -> Speech:
    """Utterances that were sent and ended, with the ids 11, 12, ..."""
    speech = Speech()
    for index, length in enumerate(ms):
        speech.add(length)
        speech.close()
        speech.named(11 + index)
    return speech


def test_utterances_are_followed_by_their_ids() -> None:
    speech = said(1000, 2000)
    assert not speech.silent and speech.waiting_ms == 3000
    assert speech.started(11)
    speech.now += 0.4
    number, heard_ms = speech.heard()
    assert number == 1 and abs(heard_ms - 400) < 1
    assert speech.finished(11)
    assert speech.heard() == (2, 0)
    assert speech.started(12) and speech.finished(12)
    assert speech.silent and speech.heard() == (2, END)


def test_the_clock_never_claims_more_than_was_sent() -> None:
    speech = Speech()
    speech.add(200)
    speech.named(7)
    speech.started(7)
    speech.now += 5
    assert speech.heard() == (1, 200)


def test_speech_of_others_is_not_ours() -> None:
    speech = said(1000)
    assert not speech.started(3) and not speech.finished(3) and not speech.finished(None)
    assert speech.heard() == (1, 0)


def test_ids_that_are_told_after_an_interruption_belong_to_what_was_dropped() -> None:
    speech = Speech()
    speech.add(500)
    speech.drop()
    assert speech.silent and speech.heard() == (1, END)
    speech.add(300)  # the next answer, before the server has opened the first
    speech.named(4)
    speech.named(5)
    assert not speech.finished(4)  # "interrupted", of what nobody waits for
    assert speech.started(5) and speech.finished(5)


def test_positions_are_those_of_what_was_sent() -> None:
    speech = Speech()
    assert speech.end == BEGINNING
    speech.add(250)
    assert speech.end == (1, 250)
    assert speech.close() == (1, END)
    speech.add(100)
    assert speech.end == (2, 100)


def test_one_that_must_not_be_interrupted_protects_what_waits() -> None:
    speech = said(1000)
    assert speech.interruptible
    speech.add(100, interruptible=False)
    assert not speech.interruptible
    speech.finished(11)
    assert not speech.interruptible


def test_a_voice_that_pauses_is_noticed_when_little_is_left() -> None:
    speech = Speech()
    speech.add(2000)
    speech.named(1)
    speech.started(1)
    assert not speech.pausing
    speech.now += PAUSE_S + 0.1  # but 1.6 s are still to be heard
    assert not speech.pausing
    speech.now += (2000 - NEARLY_MS) / 1000 - PAUSE_S
    assert speech.pausing
    speech.add(500)  # it goes on
    assert not speech.pausing


def test_a_word_too_short_to_begin_with_is_noticed() -> None:
    speech = Speech()
    speech.add(60)
    speech.now += PAUSE_S + 0.01
    assert speech.pausing
