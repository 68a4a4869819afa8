"""Utterances of a live session in the bot's process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pipecat_lipstream.held_frames import END, PAUSE_S
from pipecat_lipstream.session_speech import SessionSpeech

if TYPE_CHECKING:
    from lipstream import Utterance


@dataclass
class FakeUtterance:
    sample_rate: int = 24_000
    played_ms: int = 0
    buffered_ms: int = 0
    finished: bool = False
    ended: bool = False

    def end(self) -> None:
        self.ended = True

    def cancel(self) -> None:
        self.finished = True


def begin(speech: SessionSpeech, utterance: FakeUtterance) -> None:
    speech.begin(cast("Utterance", utterance), "context")


def test_it_is_followed_from_one_to_the_next() -> None:
    speech, first, second = SessionSpeech(), FakeUtterance(), FakeUtterance()
    begin(speech, first)
    assert speech.open is not None
    speech.open.samples = 12_000
    assert speech.end == (1, 500)
    assert speech.close() == (1, END) and first.ended
    begin(speech, second)
    first.played_ms = 480
    speech.follow()
    assert speech.heard == (1, 480)
    first.finished = True
    speech.follow()
    assert speech.heard == (2, 0) and not speech.silent
    second.finished = True
    speech.follow()
    assert speech.heard == (2, END) and speech.silent


def test_an_interruption_spares_what_must_be_said() -> None:
    speech, first, second = SessionSpeech(), FakeUtterance(), FakeUtterance()
    begin(speech, first)
    speech.close()
    begin(speech, second)
    assert speech.open is not None
    speech.open.interruptible = False
    assert speech.interrupt() == [2]
    assert first.finished and not second.finished and speech.open is not None
    speech.open.interruptible = True
    assert speech.interrupt() == [] and speech.open is None
    assert speech.silent and speech.heard == (2, END)


def test_one_whose_voice_pauses_ends_when_little_is_left() -> None:
    speech, utterance = SessionSpeech(), FakeUtterance(buffered_ms=1000)
    begin(speech, utterance)
    speech.close_pausing(PAUSE_S + 0.1, look_ahead_ms=80)
    assert not utterance.ended
    utterance.buffered_ms = 380
    speech.close_pausing(PAUSE_S - 0.1, look_ahead_ms=80)
    assert not utterance.ended
    speech.close_pausing(PAUSE_S + 0.1, look_ahead_ms=80)
    assert utterance.ended and speech.open is None and not speech.silent
