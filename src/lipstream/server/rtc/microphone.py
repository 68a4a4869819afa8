"""A viewer's microphone: pieces of sound with timestamps go to programs that listen, or become
utterances.

`SpeechDetector` is pure: what comes out depends on what went in and on nothing else. Only
`Microphone` knows of tracks and sessions.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from aiortc import MediaStreamError, MediaStreamTrack
from av.audio.frame import AudioFrame

from lipstream.errors import LipstreamError
from lipstream.live.session.utterance import Utterance
from lipstream.media.audio import AudioChunk
from lipstream.media.image import Floats
from lipstream.server.rtc.guards.drop_log import DropLog
from lipstream.server.rtc.interfaces import SpeechSink, VoiceSink
from lipstream.server.token_bucket import TokenBucket
from lipstream.speech.mono_mixer import MonoMixer

RATE = 48_000  # Hz; what Opus decodes to
STEP = RATE // 50  # samples that are judged at once: 20 ms
MAX_SILENCE = 2 * RATE  # that a gap is filled with; more means that the peer paused
ONSET_MARGIN_DB = 10.0  # dB above the noise floor that begin an utterance
HOLD_MARGIN_DB = 6.0  # dB above it that go on with one
MIN_SPEECH_DB = -55.0  # dB of full scale; what is below is never speech
DIGITAL_SILENCE_DB = -90.0  # dB: exact zeros of a muted microphone or a gap say nothing of the room
NOISE_STEPS = 100  # steps whose quietest is the noise floor: in 2 s of speech there is a pause
ONSET = 2  # loud steps that begin an utterance: 40 ms, longer than a click
MAX_PACE = 1.5  # seconds of sound that are taken in a second; timestamps can claim any number
MAX_BEHIND_S = 15.0  # of sound that may come at once, after a stall of this machine or of the line
PRE_ROLL = 15  # steps before its onset that belong to it: 300 ms, for soft consonants
PAUSE = 30  # quiet steps that end it: 600 ms
MAX_UTTERANCE_STEPS = 30 * 50  # steps of one utterance, so that noise cannot talk for ever: 30 s


@dataclass(slots=True)
class Gaps:
    """Puts silence where packets are missing, so that lost sound does not hurry the rest."""

    next: int | None = None  # timestamp that the next piece should have

    def fill(self, samples: Floats, timestamp: int) -> Floats:
        """(n,) at `timestamp`, in samples: the same with what was missed before it. Sound that
        comes twice is dropped; a jump back or far ahead is a new beginning."""
        expected, self.next = self.next, timestamp + len(samples)
        if expected is None or timestamp == expected:
            return samples
        gap = timestamp - expected
        if 0 < gap <= MAX_SILENCE:
            return np.concatenate([np.zeros(gap, np.float32), samples])
        if -RATE < gap < 0:
            self.next = max(expected, self.next)
            return samples[-gap:]
        return samples


@dataclass(slots=True)
class SpeechDetector:
    """Finds speech by its level above the room's noise. Give it sound, get steps and ends."""

    speaking: bool = False
    _noise_levels: deque[float] = field(default_factory=lambda: deque(maxlen=NOISE_STEPS))  # dB
    _pending: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    _before: deque[Floats] = field(default_factory=lambda: deque(maxlen=PRE_ROLL))
    _loud: int = 0  # steps in a row
    _quiet: int = 0
    _length: int = 0  # steps of the utterance

    def push(self, samples: Floats) -> list[Floats | None]:
        """Take (n,) float32 at 48 kHz; give the sound that belongs to speech. None ends it."""
        self._pending = np.concatenate([self._pending, samples])
        speech: list[Floats | None] = []
        while len(self._pending) >= STEP:
            step, self._pending = self._pending[:STEP], self._pending[STEP:]
            speech += self._step(step)
        return speech

    def finish(self) -> list[Floats | None]:
        """End the utterance, as no more sound will come."""
        ended: list[Floats | None] = [None] if self.speaking else []
        self.speaking = False
        return ended

    def _step(self, step: Floats) -> list[Floats | None]:
        level = _level(step)
        if level > DIGITAL_SILENCE_DB:
            self._noise_levels.append(level)
        floor = min(self._noise_levels, default=MIN_SPEECH_DB)  # a steady noise counts after 2 s
        if not self.speaking:
            return self._wait(step, level > max(floor + ONSET_MARGIN_DB, MIN_SPEECH_DB))
        self._quiet = 0 if level > max(floor + HOLD_MARGIN_DB, MIN_SPEECH_DB) else self._quiet + 1
        self._length += 1
        if self._quiet < PAUSE and self._length < MAX_UTTERANCE_STEPS:
            return [step]
        self.speaking = False
        return [step, None]

    def _wait(self, step: Floats, loud: bool) -> list[Floats | None]:
        """Keep what may turn out to be the beginning of an utterance."""
        self._before.append(step)
        self._loud = self._loud + 1 if loud else 0
        if self._loud < ONSET:
            return []
        self.speaking, self._quiet, self._loud = True, 0, 0
        self._length = len(self._before)
        beginning: list[Floats | None] = [np.concatenate(list(self._before))]
        self._before.clear()
        return beginning


class Microphone:
    """Speaks the utterances of a track in a session, each as soon as it begins, unless a program
    listens to it."""

    def __init__(
        self,
        session: SpeechSink,
        drops: DropLog | None = None,
        seconds: Callable[[], float] = time.monotonic,
        voice: VoiceSink | None = None,
    ) -> None:
        """`drops` counts sound that is not taken; `seconds` is a clock that never goes back;
        `voice` is given all sound, and takes it over when it likes."""
        self._session, self._drops, self._voice = session, drops or DropLog(), voice
        self._pace = TokenBucket(MAX_PACE * RATE, MAX_BEHIND_S * RATE, seconds)
        self._utterance: Utterance | None = None
        self._mixer, self._gaps, self._detector = MonoMixer(RATE), Gaps(), SpeechDetector()

    async def listen(self, track: MediaStreamTrack) -> None:
        """Take the sound of `track` until it ends; then end the utterance."""
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame) and frame.pts is not None:
                    self._take(self._gaps.fill(self._mixer.mix(_chunk(frame)), frame.pts))
        except MediaStreamError:
            pass  # the peer closed its microphone
        finally:
            self._speak(self._detector.finish())

    def _take(self, samples: Floats) -> None:
        if not self._pace.take(len(samples)):
            self._drops.add("rtp", samples.nbytes)
            return
        speech = self._detector.push(samples)
        if self._voice is None or not self._voice.hear(samples, bool(speech)):
            self._speak(speech)
        elif self._utterance is not None:
            self._utterance.cancel()
            self._utterance = None

    def _speak(self, speech: list[Floats | None]) -> None:
        for samples in speech:
            if samples is None:
                if self._utterance is not None:
                    self._utterance.end()
                self._utterance = None
                continue
            try:
                if self._utterance is None:
                    self._utterance = self._session.open_utterance(RATE)
                self._utterance.push(samples)
            except LipstreamError:
                # The session is full or has just been closed: live sound cannot wait.
                self._drops.add("full", samples.nbytes)


def _level(step: Floats) -> float:
    """dB of full scale."""
    return float(10 * np.log10(np.mean(np.square(step), dtype=np.float64) + 1e-10))


def _chunk(frame: AudioFrame) -> AudioChunk:
    """The sound of an interleaved 16-bit frame, which is what aiortc decodes to."""
    return AudioChunk(frame.to_ndarray().reshape(-1, len(frame.layout.channels)), RATE)
