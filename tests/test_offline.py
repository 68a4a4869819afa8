"""Files in, a file out: every frame, the whole sound, both from the first moment on."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import build_avatar
from lipstream.config import AvatarConfig
from lipstream.engine import Engine, open_engine
from lipstream.errors import OptionError
from lipstream.media.audio import AudioChunk
from lipstream.media.audio_reader import open_audio
from lipstream.offline import render, render_stream
from lipstream.speech.base import Plan
from tests.fakes import blank_avatar, read_stripes, stripe_backend
from tests.media_files import tone, write_wav

DATA = Path(__file__).parent / "data"
EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def face() -> Avatar:
    return build_avatar(DATA / "portrait.png", AvatarConfig())


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine()


def speech(rate: int, seconds: float) -> AudioChunk:
    """The bundled speech, cut and relabelled: any rate will do for a test of cutting."""
    with open_audio(EXAMPLES / "speech.wav") as sound:
        samples = np.concatenate([chunk.samples for chunk in sound])
    return AudioChunk(samples[: round(seconds * rate)], rate)


def pieces(audio: AudioChunk, cuts: list[int]) -> list[AudioChunk]:
    edges = [0, *sorted(min(cut, len(audio)) for cut in cuts), len(audio)]
    return [
        AudioChunk(audio.samples[start:stop], audio.sample_rate)
        for start, stop in zip(edges, edges[1:], strict=False)
    ]


@settings(max_examples=8)
@given(
    rate=st.sampled_from([16_000, 24_000, 44_100]),
    cuts=st.lists(st.integers(0, 30_000), max_size=12),
)
def test_any_chunking_gives_bit_identical_frames(
    face: Avatar, engine: Engine, rate: int, cuts: list[int]
) -> None:
    audio = speech(rate, 0.6)
    whole = list(render_stream(engine, face, [audio]))
    cut = list(render_stream(engine, face, pieces(audio, cuts)))
    assert len(whole) == len(cut) == 15
    for one, other in zip(whole, cut, strict=True):
        assert one.timestamp_ms == other.timestamp_ms
        assert np.array_equal(one.frame, other.frame)


def test_frames_have_the_avatars_own_size(face: Avatar, engine: Engine) -> None:
    (timed,) = render_stream(engine, face, [speech(16_000, 0.04)])
    assert timed.frame.shape == (256, 256, 3) and timed.frame.dtype == np.uint8


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_batches_change_nothing(batch: int) -> None:
    engine = Engine(stripe_backend(Plan(0, 3, 320), batch=batch))
    frames = list(render_stream(engine, blank_avatar(), pieces(speech(16_000, 2.0), [9000])))
    assert [read_stripes(timed.frame)[0] for timed in frames] == list(range(50))


@pytest.mark.parametrize(
    ("rate", "samples"), [(16_000, 100), (8000, 8000), (44_100, 51_156), (22_050, 31_000)]
)
def test_the_movie_has_every_frame_and_the_whole_sound(
    tmp_path: Path, rate: int, samples: int
) -> None:
    wav = write_wav(tmp_path / "in.wav", tone(samples / rate, rate)[:samples], rate)
    seen: list[tuple[int, int | None]] = []
    done = render(
        blank_avatar(),
        wav,
        tmp_path / "out.mp4",
        engine=Engine(stripe_backend()),
        on_frame=lambda frames, expected: seen.append((frames, expected)),
    )
    expected = max(1, samples * 25 // rate)
    assert (done.frames, done.samples, done.sample_rate) == (expected, samples, rate)
    assert seen == [(index + 1, expected) for index in range(expected)]
    with av.open(str(done.path)) as movie:
        video, sound = movie.streams.video[0], movie.streams.audio[0]
        assert video.frames == expected
        assert video.start_time == sound.start_time == 0
    with open_audio(done.path) as track:
        assert sum(len(chunk) for chunk in track) / track.sample_rate == pytest.approx(
            samples / rate, abs=0.001
        )


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    movie = tmp_path / "clip.mp4"
    movie.write_bytes((EXAMPLES / "idle.mp4").read_bytes())
    with pytest.raises(OptionError, match="also an input"):
        render(movie, EXAMPLES / "speech.wav", movie)
    assert movie.read_bytes() == (EXAMPLES / "idle.mp4").read_bytes()


def test_a_failure_leaves_the_old_movie_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"precious")

    def stop(frames: int, expected: int | None) -> None:
        if frames == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(
            blank_avatar(),
            EXAMPLES / "speech.wav",
            target,
            engine=Engine(stripe_backend()),
            on_frame=stop,
        )
    assert target.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [target]
