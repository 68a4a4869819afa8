"""What a viewer says, on its way to programs."""

from __future__ import annotations

import numpy as np
import pytest

from lipstream.media.image import Floats
from lipstream.server.errors import ApiError
from lipstream.server.rtc.microphone import RATE
from lipstream.server.sessions.viewer_voice import MAX_READERS, MAX_WAITING_S, ViewerVoice

PIECE = RATE // 50


def tone(seconds: float, hertz: float = 440.0) -> Floats:
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def nothing() -> None:
    """Called with news, or at the end."""


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
def test_a_reader_gets_the_sound_at_its_rate(rate: int) -> None:
    voice = ViewerVoice(nothing)
    with voice.reading(rate, nothing, nothing) as reader:
        for piece in np.split(tone(1.0), 50):
            voice.hear(piece, speech=False)
        taken = []
        while (news := reader.take()) is not None:
            assert isinstance(news, bytes)
            taken.append(np.frombuffer(news, "<i2"))
    sound = np.concatenate(taken)
    assert 0.85 * rate <= len(sound) <= rate  # a filter keeps the rest for a while
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert abs(np.argmax(spectrum) * rate / len(sound) - 440) < 2
    assert abs(np.abs(sound[rate // 10 :]).max() / 32768 - 0.5) < 0.01


def test_sound_beyond_full_scale_is_clipped() -> None:
    voice = ViewerVoice(nothing)
    with voice.reading(RATE, nothing, nothing) as reader:
        voice.hear(np.array([1.5, -1.5], np.float32), speech=False)
        assert reader.take() == np.array([32767, -32768], "<i2").tobytes()


def test_states_come_in_their_place() -> None:
    voice, news = ViewerVoice(nothing), []
    with voice.reading(RATE, lambda: news.append(1), nothing) as reader:
        voice.hear(tone(0.02), speech=False)
        voice.see("lost")
        assert len(news) == 2
        assert isinstance(reader.take(), bytes)
        assert [reader.take(), reader.take()] == ["lost", None]


def test_what_is_not_read_is_bounded() -> None:
    voice = ViewerVoice(nothing)
    with (
        voice.reading(RATE, nothing, nothing) as slow,
        voice.reading(RATE, nothing, nothing) as fast,
    ):
        for second in range(round(MAX_WAITING_S) + 5):
            voice.hear(np.zeros(RATE, np.float32), speech=False)
            assert slow.overflown == (second >= MAX_WAITING_S)
            assert fast.take() is not None
        assert not fast.overflown
        kept = 0
        while (news := slow.take()) is not None:
            kept += len(news)
        assert kept <= MAX_WAITING_S * RATE * 2


def test_the_avatar_stays_silent_once_a_program_has_read() -> None:
    touches: list[int] = []
    voice = ViewerVoice(lambda: touches.append(1))
    assert not voice.hear(tone(0.02), speech=True) and touches == []
    with voice.reading(RATE, nothing, nothing):
        assert voice.hear(tone(0.02), speech=True)
        assert voice.hear(tone(0.02), speech=False)
    assert voice.hear(tone(0.02), speech=False)  # the program may come back
    assert touches == [1]  # speech alone keeps a session from ending for being idle


def test_so_many_may_read() -> None:
    voice = ViewerVoice(nothing)
    readers = [voice.reading(RATE, nothing, nothing) for _ in range(MAX_READERS)]
    for reader in readers:
        reader.__enter__()
    with pytest.raises(ApiError) as refused, voice.reading(RATE, nothing, nothing):
        pass
    assert refused.value.status_code == 429
    readers[0].__exit__(None, None, None)
    with voice.reading(RATE, nothing, nothing):
        pass


def test_readers_are_told_of_the_end() -> None:
    ended: list[str] = []
    voice = ViewerVoice(nothing)
    with (
        voice.reading(RATE, nothing, lambda: ended.append("one")),
        voice.reading(RATE, nothing, lambda: ended.append("two")),
    ):
        voice.close()
    assert ended == ["one", "two"]
