"""MuseTalk with learned weights speaks: faults of timing show as milliseconds.

The portrait of the examples says a sentence that the weights never heard; our own tracker reads the
lips in the finished frames. The same input gives the same curve, so what is less than 1 is a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from lipstream.avatar.builder import build_avatar
from lipstream.config import MuseTalkConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.media.audio import AudioChunk
from lipstream.media.audio_reader import open_audio
from lipstream.media.image import Floats, Image
from lipstream.offline import render_stream
from lipstream.rendering.registry import Backend, open_backend
from lipstream.score.curves import Curve, Track, correlation, offset
from lipstream.score.judgement import judge
from lipstream.score.mouth import MouthTrack, read_mouth
from lipstream.score.sound import listen
from lipstream.speech.base import EncoderState, SpeechEncoder
from lipstream.timeline import FPS

pytestmark = pytest.mark.full

EXAMPLES = Path(__file__).parents[3] / "examples"
SENTENCE = Path(__file__).parents[2] / "data" / "sentence.flac"
STEPS = 10  # of speech features in a frame's window
Change = Callable[[Floats], Floats]  # of tokens, (frames, 10, layers, width)


class Changed:
    """A speech encoder whose tokens are changed on their way."""

    def __init__(self, encoder: SpeechEncoder, change: Change) -> None:
        self._encoder, self._change, self.plan = encoder, change, encoder.plan

    def open(self, fps: Fraction) -> EncoderState:
        return self._encoder.open(fps)

    def encode(self, contexts: Sequence[object]) -> list[Floats]:
        return [
            self._change(tokens.reshape(len(tokens), STEPS, -1, tokens.shape[2])).reshape(
                tokens.shape
            )
            for tokens in self._encoder.encode(contexts)
        ]


def half_a_frame_late(tokens: Floats) -> Floats:
    before = np.concatenate([np.zeros_like(tokens[:1]), tokens[:-1]])
    return np.concatenate([before[:, 1:2], tokens[:, :-1]], axis=1)


def two_frames_early(tokens: Floats) -> Floats:
    return np.concatenate([tokens[2:], np.zeros_like(tokens[:2])])


def backwards(tokens: Floats) -> Floats:
    return np.ascontiguousarray(tokens[:, ::-1])


def layers_swapped(tokens: Floats) -> Floats:
    return np.ascontiguousarray(tokens[:, :, ::-1])


class Person:
    """The portrait of the examples, spoken for by the learned weights."""

    def __init__(self) -> None:
        config = MuseTalkConfig(EXAMPLES / "tiny", device="cpu")
        self._backends = {
            live: open_backend("musetalk", musetalk=config, runtime=RuntimeOptions(live=live))
            for live in (False, True)
        }
        self._avatar = build_avatar(EXAMPLES / "portrait_closed.png")
        self.portrait: Image = self._avatar.frames[0].pixels

    def says(
        self, sound: Sequence[AudioChunk], live: bool = False, change: Change | None = None
    ) -> MouthTrack:
        """The mouth as it is seen in the finished frames."""
        backend = self._backends[live]
        encoder = Changed(backend.encoder, change) if change else backend.encoder
        engine = Engine(Backend("musetalk", encoder, backend.renderer, FPS, backend.batch, "test"))
        return read_mouth(
            (frame.frame for frame in render_stream(engine, self._avatar, sound)), FPS
        )


@pytest.fixture(scope="module")
def person() -> Person:
    return Person()


@pytest.fixture(scope="module")
def sentence() -> list[AudioChunk]:
    with open_audio(SENTENCE) as sound:
        return list(sound)


@pytest.fixture(scope="module")
def said(person: Person, sentence: list[AudioChunk]) -> MouthTrack:
    return person.says(sentence)


def delay_ms(mouth: MouthTrack, truth: MouthTrack) -> tuple[float, float]:
    """Milliseconds by which one mouth is later than the other, and how alike they then are."""
    curve: Curve = truth.filled()
    seconds, peak = offset(mouth.filled(), Track(curve, float(FPS), 0.5 / float(FPS)))
    return 1000 * seconds, peak


def test_the_lips_follow_speech_never_heard(said: MouthTrack, sentence: list[AudioChunk]) -> None:
    score = judge(said, listen(sentence, sentence[0].sample_rate))
    assert score.follows and score.verdict == "in sync"
    assert abs(score.offset_ms) <= 40
    assert score.correlation >= 0.45


@pytest.fixture(scope="module")
def live(person: Person, said: MouthTrack, sentence: list[AudioChunk]) -> float:
    """How alike the lips of live speech and of a file are."""
    return correlation(person.says(sentence, live=True).filled(), said.filled())


def test_live_speech_moves_the_same_lips(live: float) -> None:
    assert live >= 0.95


def test_silence_is_still_and_keeps_the_colour(person: Person, said: MouthTrack) -> None:
    silence = [AudioChunk(np.zeros(FPS.numerator * 640, np.float32), 16_000)]
    resting = person.says(silence)
    assert resting.openings.std() < 0.004
    assert resting.openings.max() < np.percentile(said.openings, 50)
    own = read_mouth([person.portrait], FPS).colours[0]
    assert np.abs(resting.colours.mean(axis=0) - own).max() < 6


@pytest.mark.parametrize(
    ("fault", "late_ms"), [(half_a_frame_late, 20.0), (two_frames_early, -80.0)]
)
def test_a_window_at_the_wrong_time_shows_as_milliseconds(
    person: Person, said: MouthTrack, sentence: list[AudioChunk], fault: Change, late_ms: float
) -> None:
    seen, alike = delay_ms(person.says(sentence, change=fault), said)
    assert seen == pytest.approx(late_ms, abs=8)
    assert alike > 0.9


@pytest.mark.parametrize("fault", [backwards, layers_swapped])
def test_tokens_in_the_wrong_order_show_as_another_mouth(
    person: Person, said: MouthTrack, sentence: list[AudioChunk], live: float, fault: Change
) -> None:
    """More than what live speech cannot know yet; the same tokens give the same curve, 1."""
    assert correlation(person.says(sentence, change=fault).filled(), said.filled()) < live - 0.005
