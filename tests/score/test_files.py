"""A real video of the puppet: rendered once, read once."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from lipstream.engine import open_engine
from lipstream.errors import AudioError, FaceError, PictureError
from lipstream.media.audio_reader import open_audio
from lipstream.offline import render
from lipstream.score.files import Scored, score_video, sound_start
from lipstream.score.judgement import judge
from lipstream.timeline import FEATURE_RATE
from tests.avatar.scenes import write_clip
from tests.media_files import grey_levels, tone, write_wav
from tests.score.conftest import CLIPS, EXAMPLES, PORTRAIT, heard, mouth_of, shifted

SECONDS = 3.6


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of a sentence."""
    with open_audio(EXAMPLES / "speech.wav") as sound:
        samples = np.concatenate([chunk.mono() for chunk in sound])
        rate = sound.sample_rate
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    return write_wav(path, (samples[: round(SECONDS * rate)] * 32767).astype(np.int16), rate)


@pytest.fixture(scope="module")
def video(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "talk.mp4"
    with open_engine("puppet") as engine:
        render(PORTRAIT, speech, path, engine=engine)
    return path


@pytest.fixture(scope="module")
def scored(video: Path) -> Scored:
    return score_video(video, reference=video)


@pytest.mark.slow
def test_the_puppet_is_in_sync_and_like_itself(scored: Scored) -> None:
    score = scored.score
    assert score.verdict == "in sync"
    assert abs(score.offset_ms) < 20 and score.correlation > 0.7
    assert score.closures.share >= 0.8
    assert score.frames_with_face == score.frames == round(SECONDS * 25)
    assert score.reference is not None
    assert score.reference.colour == 0 and score.reference.sharpness == 1


@pytest.mark.slow
def test_planted_shifts_of_a_true_clip_are_found_within_a_frame(scored: Scored) -> None:
    for frames in range(-5, 6):
        score = judge(shifted(scored.mouth, frames), scored.spoken)
        assert score.follows
        assert score.offset_ms == pytest.approx(40 * frames, abs=40)


@pytest.mark.slow
def test_wrong_sound_and_a_frozen_mouth_are_rejected(scored: Scored) -> None:
    for name in ("tts_ko_espeak", "tts_zh_espeak"):
        assert not judge(scored.mouth, heard(CLIPS / f"{name}.wav")).follows
    still = np.full_like(scored.mouth.openings, 0.02)
    assert not judge(replace(scored.mouth, openings=still), scored.spoken).follows


def silent_clip(path: Path, seconds: int = 3) -> Path:
    return write_clip(path, grey_levels(seconds * 5), fps=5)


def test_a_video_without_a_face_is_refused(speech: Path, tmp_path: Path) -> None:
    clip = silent_clip(tmp_path / "grey.mp4")
    with pytest.raises(FaceError, match=r"grey\.mp4; a score needs one that looks at the camera"):
        score_video(clip, speech)


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    clip = silent_clip(tmp_path / "grey.mp4")
    with pytest.raises(AudioError, match="no sound track; give the speech with --audio"):
        score_video(clip)


def test_a_sound_without_speech_is_refused(tmp_path: Path) -> None:
    hum = write_wav(tmp_path / "hum.wav", (tone(3, 16_000) * 32767).astype(np.int16), 16_000)
    with pytest.raises(AudioError, match=r"no speech is heard in .*hum\.wav"):
        score_video(silent_clip(tmp_path / "grey.mp4"), hum)


def test_a_short_video_is_refused(speech: Path, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"lasts 1\.0 s; a score needs 2 s"):
        score_video(silent_clip(tmp_path / "grey.mp4", seconds=1), speech)


def write_talk(
    path: Path, sound: NDArray[np.int16], picture_ms: int, sound_ms: int, seconds: int = 1
) -> Path:
    """Grey pictures and 16 kHz sound in one file, each from its own time on."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.pix_fmt, video.height, video.width = "yuv420p", 48, 64
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for index, picture in enumerate(grey_levels(25 * seconds)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index + picture_ms // 40, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        samples = av.AudioFrame.from_ndarray(sound[None], layout="mono")
        samples.sample_rate, samples.pts = 16_000, 16 * sound_ms
        samples.time_base = Fraction(1, 16_000)
        container.mux(audio.encode(samples))
        container.mux(audio.encode(None))
    return path


@pytest.mark.parametrize(("picture_ms", "sound_ms"), [(0, 0), (0, 200), (400, 0)])
def test_the_times_of_both_tracks_count(tmp_path: Path, picture_ms: int, sound_ms: int) -> None:
    path = write_talk(tmp_path / "late.mkv", np.zeros(8000, np.int16), picture_ms, sound_ms)
    expected = (sound_ms - picture_ms) / 1000
    assert sound_start(path) == pytest.approx(expected, abs=0.002)


def test_sound_that_began_before_the_pictures_is_heard_to_their_end(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mouth = mouth_of(np.full(50, 0.02))
    monkeypatch.setattr("lipstream.score.files.read_mouth", lambda *_: mouth)
    with open_audio(speech) as sound:
        samples = np.concatenate([chunk.mono() for chunk in sound])
    long = np.tile((samples * 32767).astype(np.int16), 2)
    scored = score_video(write_talk(tmp_path / "late.mov", long, 4000, 0, seconds=2))
    assert scored.start == pytest.approx(-4, abs=0.002)
    assert len(scored.spoken.gap) >= FEATURE_RATE * (4 + 2)
