"""Files in, a file out: every frame, the whole sound, both from the first moment on."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import build_avatar
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig, ClipMode
from lipstream.engine import Engine, open_engine
from lipstream.errors import OptionError
from lipstream.media.audio import AudioChunk
from lipstream.media.audio_reader import open_audio
from lipstream.media.image import Floats
from lipstream.media.mp4_writer import Mp4Writer, StillPicture
from lipstream.media.video_reader import read_clip
from lipstream.offline import render, render_stream
from lipstream.rendering.base import StillRenderer
from lipstream.speech.base import Plan
from tests.avatar.scenes import swaying, write_clip
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


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(0, 30_000), max_size=12), level=st.sampled_from([1.0, 0.002]))
def test_cancelling_channels_and_quiet_speech_are_heard_the_same_in_any_chunks(
    engine: Engine, cuts: list[int], level: float
) -> None:
    left = level * speech(16_000, 1.5).samples
    audio = AudioChunk(np.concatenate([left, -left], axis=1), 16_000)
    whole = articulation(engine, [audio])
    assert np.array_equal(whole, articulation(engine, pieces(audio, cuts)))


def articulation(engine: Engine, chunks: list[AudioChunk]) -> Floats:
    """(frames, 7): the mouth over a whole utterance."""
    stream = engine.open_stream(blank_avatar())
    segments = [segment for chunk in chunks for segment in stream.push(chunk)] + stream.end()
    return np.concatenate([segment.context for segment in segments])


@pytest.mark.parametrize("level", [1.0, 10 ** (-44 / 20)])
def test_the_mouth_follows_an_inverted_channel_as_it_follows_one(
    engine: Engine, level: float
) -> None:
    """At full level, and where the speech is at -60 dB: that is known after a first word."""
    one = speech(16_000, 10.0)
    quiet = level * one.samples
    both = AudioChunk(np.concatenate([quiet, -quiet], axis=1), 16_000)
    heard, alone = articulation(engine, [both])[25:, 0], articulation(engine, [one])[25:, 0]
    assert np.corrcoef(heard, alone)[0, 1] > 0.95
    assert heard.mean() > 0.9 * alone.mean()


def quiet_files(kind: str) -> Floats:
    rate = 16_000
    spoken = speech(rate, 2.0).samples[:, 0]
    noise = np.random.default_rng(0).normal(0, 0.01, 2 * rate).astype(np.float32)
    sounds = {"silence": 0 * spoken, "whisper": 2.5e-4 * spoken, "noise": noise, "speech": spoken}
    return np.asarray(sounds[kind], np.float32)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("silence", "in.wav is silent; record"),
        ("whisper", r"the speech in in.wav is too quiet to be heard \(-\d+ dB .*\); raise"),
        ("noise", "no speech was heard in in.wav, only noise, .*; give"),
        ("speech", None),
    ],
)
def test_a_mouth_that_never_opens_is_explained(
    tmp_path: Path, engine: Engine, kind: str, reason: str | None
) -> None:
    wav = write_wav(tmp_path / "in.wav", quiet_files(kind), 16_000)
    warnings = render(DATA / "portrait.png", wav, tmp_path / "out.mp4", engine=engine).warnings
    found = [warning for warning in warnings if "mouth stays shut" in warning]
    if reason is None:
        assert not found
    else:
        assert len(found) == 1 and re.search(reason, found[0])


@pytest.mark.parametrize("step", [1, 30])
@pytest.mark.parametrize(
    ("mode", "seconds", "frames"),
    [("once", 1.0, 50), ("once", 3.0, 75), ("loop", 1.0, 25), ("ping-pong", 1.0, 25)],
)
def test_a_clip_that_is_shown_once_is_shown_to_its_end(
    tmp_path: Path, step: int, mode: ClipMode, seconds: float, frames: int
) -> None:
    wav = write_wav(tmp_path / "in.wav", tone(seconds, 16_000), 16_000)
    engine = Engine(stripe_backend(Plan(0, step, 320)))
    avatar, out = blank_avatar(frames=50), tmp_path / "out.mp4"
    seen: list[tuple[int, int | None]] = []
    done = render(avatar, wav, out, engine=engine, clip=mode, on_frame=lambda *at: seen.append(at))
    assert done.frames == frames and done.samples == seconds * 16_000
    assert seen == [(index + 1, frames) for index in range(frames)]
    with av.open(str(out)) as movie:
        assert movie.streams.video[0].frames == frames
    with open_audio(out) as sound:
        assert sum(map(len, sound)) == done.samples


def test_an_unknown_order_is_refused(tmp_path: Path) -> None:
    wav = write_wav(tmp_path / "in.wav", tone(0.1, 16_000), 16_000)
    with pytest.raises(OptionError, match="no clip mode 'twice'; use once, ping-pong, loop"):
        render(blank_avatar(), wav, tmp_path / "out.mp4", clip="twice")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_long_clip_is_dubbed_as_a_short_one(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MAX_FRAMES": 30, "MIN_FRAMES": 24, "SHARED": 6}.items():
        monkeypatch.setattr(f"lipstream.avatar.clip_windows.{name}", value)
    wav = write_wav(tmp_path / "in.wav", speech(16_000, 2.0).samples, 16_000)
    picture = read_picture(DATA / "portrait.png", AvatarConfig())
    clip = write_clip(tmp_path / "clip.mp4", swaying(picture, 56))
    steps = []  # from one frame to the next
    for seconds in (1, 60):
        config = AvatarConfig(max_seconds=seconds)
        out = tmp_path / f"{seconds}.mp4"
        done = render(clip, wav, out, engine=engine, clip="once", avatar_config=config)
        assert done.frames == 56
        frames = np.stack(list(read_clip(out))).astype(int)
        steps.append(np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3)))
    in_windows, as_a_whole = steps
    assert (in_windows < 1.3 * as_a_whole + 0.2).all(), "a jump between windows"


def test_frames_have_the_avatars_own_size(face: Avatar, engine: Engine) -> None:
    (timed,) = render_stream(engine, face, [speech(16_000, 0.04)])
    assert timed.frame.shape == (256, 256, 3) and timed.frame.dtype == np.uint8


def test_a_portrait_is_encoded_as_well_as_moving_pictures_are(
    tmp_path: Path, face: Avatar, engine: Engine
) -> None:
    """x264 looks less far ahead for a still picture with one moving part; it must not show."""
    frames = [timed.frame for timed in render_stream(engine, face, [speech(16_000, 3.0)])]
    renderer = engine.backend.renderer
    assert isinstance(renderer, StillRenderer)
    moving = renderer.moving_part(face)
    assert moving is not None
    sizes, errors = [], []
    for still in (None, StillPicture(face.frames[0].pixels, moving)):
        path = tmp_path / "out.mp4"
        with Mp4Writer(path, face.size, still=still) as movie:
            for frame in frames:
                movie.write_frame(frame if still is None else frame[moving.slices])
        shown = np.stack(list(read_clip(path))).astype(np.float32)
        errors.append(float(np.square(shown - np.stack(frames)).mean()))
        sizes.append(path.stat().st_size)
    assert errors[1] < 1.02 * errors[0]
    assert sizes[1] < 1.1 * sizes[0]


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
