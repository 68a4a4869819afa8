from __future__ import annotations

import numpy as np

from lipstream.media.audio import AudioChunk
from lipstream.media.audio_reader import open_audio
from lipstream.score.curves import correlation
from lipstream.score.sound import MIN_DB, Spoken, listen
from tests.media_files import tone
from tests.score.conftest import EXAMPLES


def test_speech_opens_and_closes_the_lips(sentence: Spoken) -> None:
    assert sentence.speaks
    assert len(sentence.gap) == len(sentence.close) == len(sentence.loudness)
    assert len(sentence.closures()) >= 5
    assert sentence.loudness.max() > -30


def test_where_the_first_sample_lies_does_not_matter(sentence: Spoken) -> None:
    with open_audio(EXAMPLES / "speech.wav") as sound:
        samples = np.concatenate([chunk.mono() for chunk in sound])
        rate = sound.sample_rate
    for milliseconds in (5, 10, 15):
        late = np.concatenate([np.zeros(rate * milliseconds // 1000, np.float32), samples])
        other = listen([AudioChunk(late, rate)], rate)
        times = np.arange(1, 7, 0.02)
        gap = other.track(other.gap, -milliseconds / 1000).at(times)
        assert correlation(gap, sentence.track(sentence.gap, 0).at(times)) > 0.98


def test_a_tone_and_silence_say_nothing() -> None:
    for samples in (tone(2.0, 16_000), np.zeros(32_000, np.float32)):
        assert not listen([AudioChunk(samples, 16_000)], 16_000).speaks
    assert listen([AudioChunk(np.zeros(16_000), 16_000)], 16_000).loudness.tolist() == [MIN_DB] * 50


def test_pauses_are_long_and_closures_short() -> None:
    gap = np.full(200, 0.5)
    gap[20:24] = 0
    gap[100:140] = 0
    close = np.zeros(200)
    close[20:24] = 1
    spoken = Spoken(gap, close, np.zeros(200))
    assert spoken.pauses() == [(2.0, 2.8)]
    assert spoken.closures() == [(0.4, 0.48)]
