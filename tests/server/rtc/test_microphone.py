"""A viewer's microphone: gaps, utterances, interrupts, and a session that is full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from aiortc import MediaStreamError, MediaStreamTrack
from av.audio.frame import AudioFrame
from hypothesis import given
from hypothesis import strategies as st

from lipstream.server.rtc.guards.drop_log import DropLog
from lipstream.server.rtc.microphone import (
    MAX_BEHIND_S,
    MAX_PACE,
    MAX_UTTERANCE_STEPS,
    RATE,
    STEP,
    Gaps,
    Microphone,
    SpeechDetector,
)
from tests.fakes import blank_avatar
from tests.server.fake_runtime import MAX_MS, FakeSession

if TYPE_CHECKING:
    from lipstream.media.image import Floats
    from lipstream.server.rtc.interfaces import SpeechSink

noise = np.random.default_rng(5)


def hum(seconds: float, level: float = 0.001) -> Floats:
    """A quiet room."""
    return (noise.standard_normal(round(seconds * RATE)) * level).astype(np.float32)


def speech(seconds: float, level: float = 0.1) -> Floats:
    """Something loud that rises and falls."""
    times = np.arange(round(seconds * RATE)) / RATE
    wave = np.sin(2 * np.pi * 180 * times) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * times))
    return (level * wave).astype(np.float32)


def detect(*parts: Floats) -> tuple[list[Floats], SpeechDetector]:
    """Whole utterances, ended or not, of the parts one after the other."""
    detector, open_ = SpeechDetector(), False
    spoken: list[Floats] = []
    for piece in np.array_split(np.concatenate(parts), 97):
        for samples in detector.push(piece):
            if samples is None:
                open_ = False
            elif open_:
                spoken[-1] = np.concatenate([spoken[-1], samples])
            else:
                spoken.append(samples)
                open_ = True
    return spoken, detector


def test_an_utterance_has_its_beginning_and_its_end() -> None:
    spoken, detector = detect(hum(1), speech(1.0), hum(1.2), speech(0.5), hum(1))
    assert len(spoken) == 2 and not detector.speaking
    for sound, seconds in zip(spoken, (1.0, 0.5), strict=True):
        # Up to 300 ms before it, and the 600 ms that tell that it is over.
        assert seconds + 0.8 < len(sound) / RATE < seconds + 1.0
        loud = np.flatnonzero(np.abs(sound) > 0.02)
        assert 0.2 < loud[0] / RATE < 0.32


def test_a_short_pause_does_not_end_it() -> None:
    spoken, _ = detect(hum(1), speech(0.5), hum(0.4), speech(0.5), hum(1))
    assert len(spoken) == 1


def test_a_quiet_room_and_a_click_say_nothing() -> None:
    click = hum(0.02) + 0.5
    assert detect(hum(3), click.astype(np.float32), hum(1))[0] == []
    assert detect(hum(4, level=0.01))[0] == []


def test_a_loud_fan_is_not_speech_for_ever() -> None:
    spoken, detector = detect(hum(0.5), hum(40, level=0.05))
    assert sum(map(len, spoken)) / RATE < 4
    assert not detector.speaking


def test_a_microphone_that_is_switched_on_says_nothing() -> None:
    assert detect(np.zeros(RATE, np.float32), hum(3, level=0.01))[0] == []


def test_no_utterance_is_endless() -> None:
    words = [np.concatenate([speech(0.5), hum(0.1)]) for _ in range(80)]
    spoken, _ = detect(*words)
    assert max(map(len, spoken)) <= MAX_UTTERANCE_STEPS * STEP


def test_speech_over_a_fan_is_found() -> None:
    spoken, _ = detect(hum(2, level=0.002), speech(1) + hum(1, level=0.002), hum(2, level=0.002))
    assert len(spoken) == 1


@given(st.lists(st.integers(1, 3000), max_size=20))
def test_how_sound_is_cut_does_not_matter(cuts: list[int]) -> None:
    sound = np.concatenate([hum_of(1), speech(0.4), hum_of(2)])
    whole, pieces = SpeechDetector(), SpeechDetector()
    expected = joined(whole.push(sound))
    parts, place = [], 0
    for cut in cuts:
        parts += pieces.push(sound[place : place + cut])
        place += cut
    parts += pieces.push(sound[place:])
    assert np.array_equal(joined(parts), expected)


def hum_of(seed: int) -> Floats:
    room = np.random.default_rng(seed).standard_normal(RATE) * 0.001
    return np.asarray(room, np.float32)


def joined(parts: list[Floats | None]) -> Floats:
    """All of it, with an impossible sample at each end."""
    ends = np.full(1, 9.0, np.float32)
    return np.concatenate([ends if part is None else part for part in [None, *parts]])


def test_missing_packets_are_silence() -> None:
    gaps, ones = Gaps(), np.ones(960, np.float32)
    assert len(gaps.fill(ones, 5000)) == 960
    assert len(gaps.fill(ones, 5960)) == 960
    late = gaps.fill(ones, 5960 + 3 * 960)
    assert len(late) == 3 * 960
    assert late[: 2 * 960].max() == 0 and late[2 * 960 :].min() == 1


def test_sound_that_comes_twice_is_taken_once() -> None:
    gaps, ones = Gaps(), np.ones(960, np.float32)
    gaps.fill(ones, 0)
    assert len(gaps.fill(ones, 0)) == 0
    assert len(gaps.fill(ones, 480)) == 480
    assert len(gaps.fill(ones, 1440)) == 960


def test_a_new_beginning_is_not_a_gap() -> None:
    gaps, ones = Gaps(), np.ones(960, np.float32)
    gaps.fill(ones, 0)
    assert len(gaps.fill(ones, 10 * 60 * RATE)) == 960
    assert len(gaps.fill(ones, 0)) == 960


class Track(MediaStreamTrack):
    """Prepared sound, in stereo, that ends."""

    kind = "audio"

    def __init__(self, sound: Floats, on_step: Callable[[int], None] = lambda step: None) -> None:
        super().__init__()
        self._on_step = on_step  # called with the index of each step
        self._pieces = [sound[start : start + STEP] for start in range(0, len(sound), STEP)]
        self._next = 0

    async def recv(self) -> AudioFrame:
        if self._next == len(self._pieces):
            raise MediaStreamError
        self._on_step(self._next)
        piece = (self._pieces[self._next] * 32767).astype(np.int16)
        both = np.repeat(piece, 2)[np.newaxis]
        frame = AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = self._next * STEP
        self._next += 1
        return frame


def speak(
    session: FakeSession, *parts: Floats, on_step: Callable[[int], None] = lambda step: None
) -> None:
    microphone = Microphone(cast("SpeechSink", session))
    asyncio.run(microphone.listen(Track(np.concatenate(parts), on_step)))


@pytest.mark.parametrize("tail", [0.0, 1.0])
def test_a_track_becomes_utterances(tail: float) -> None:
    session = FakeSession(blank_avatar())
    speak(session, hum(1), speech(1), hum(tail))
    assert session.ends == 1 and session.rates == [RATE]
    assert abs(max(session.samples) / 32768 - 0.1) < 0.01


def test_every_spoken_stretch_is_an_utterance_of_its_own() -> None:
    session = FakeSession(blank_avatar())
    speak(session, hum(1), speech(1), hum(1), speech(1), hum(1))
    assert session.ends == len(session.utterances) == 2


def test_what_follows_an_interrupt_is_dropped_until_the_next_stretch() -> None:
    session = FakeSession(blank_avatar())

    def interrupt(step: int) -> None:
        if step == 75:  # half a second into the first words
            session.interrupt()

    speak(session, hum(1), speech(1), hum(1), speech(1), hum(1), on_step=interrupt)
    first, second = session.utterances
    assert first.state == "cancelled" and 0 < len(first.samples) < 0.9 * RATE
    assert second.ended and len(second.samples) > RATE


def test_a_full_session_loses_sound_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    session, drops = FakeSession(blank_avatar()), DropLog()
    session.buffered_ms = MAX_MS - 500
    microphone = Microphone(cast("SpeechSink", session), drops)
    asyncio.run(microphone.listen(Track(np.concatenate([hum(1), speech(1), hum(1)]))))
    assert 0 < len(session.samples) <= RATE // 2 and session.ends == 1
    assert drops.totals["full"] > 20 and len(caplog.records) == 1


class Program:
    """Hears a viewer, and takes the microphone over after so many pieces."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.heard: list[Floats] = []
        self.speech: list[bool] = []

    def hear(self, samples: Floats, speech: bool) -> bool:
        self.heard.append(samples)
        self.speech.append(speech)
        return len(self.heard) > self.after


def listen(session: FakeSession, program: Program, sound: Floats) -> None:
    microphone = Microphone(cast("SpeechSink", session), voice=program)
    asyncio.run(microphone.listen(Track(sound)))


def test_a_program_hears_everything_and_the_avatar_then_says_nothing() -> None:
    session, program = FakeSession(blank_avatar()), Program(after=0)
    listen(session, program, np.concatenate([hum(1), speech(1), hum(1)]))
    assert len(np.concatenate(program.heard)) == 3 * RATE
    assert session.utterances == []
    spoken = [index * 0.02 for index, words in enumerate(program.speech) if words]
    assert 1.0 <= spoken[0] <= 1.2 and 2.0 <= spoken[-1] <= 2.8


def test_an_avatar_that_repeats_the_viewer_stops_when_a_program_takes_over() -> None:
    session, program = FakeSession(blank_avatar()), Program(after=75)
    listen(session, program, np.concatenate([hum(1), speech(2), hum(1)]))
    (utterance,) = session.utterances
    assert utterance.state == "cancelled" and len(utterance.samples) < RATE


class LeapingTrack(Track):
    """Says of each of its pieces that two seconds have passed since the one before."""

    async def recv(self) -> AudioFrame:
        frame = await super().recv()
        frame.pts = self._next * 2 * RATE
        return frame


def test_sound_is_not_taken_faster_than_it_can_be_spoken() -> None:
    """Gaps are filled with silence, so 50 small packets a second could be 100 s of work."""
    drops, now = DropLog(), 0.0
    microphone = Microphone(cast("SpeechSink", FakeSession(blank_avatar())), drops, lambda: now)
    asyncio.run(microphone.listen(LeapingTrack(hum(10))))  # 500 pieces at once
    refused = 500 - 1 - MAX_BEHIND_S // 2
    assert drops.totals["rtp"] == refused
    now = 2.0
    asyncio.run(microphone.listen(Track(hum(2 * MAX_PACE))))
    assert drops.totals["rtp"] == refused
