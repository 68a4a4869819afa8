"""Any sound file is read to the sample, and a broken one is refused in words."""

from __future__ import annotations

import os
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lipstream.errors import AudioError
from lipstream.media.audio import AudioChunk
from lipstream.media.audio_reader import open_audio
from lipstream.media.mp4_writer import Mp4Writer
from tests.media_files import (
    grey_levels,
    tone,
    write_sound,
    write_video,
    write_wav,
    write_wav_bytes,
)

RATE = 24_000
SOUND = tone(1.5, RATE)


def read(path: Path) -> tuple[Any, int]:
    """All samples (n, channels) of a file and their rate."""
    with open_audio(path) as audio:
        chunks = list(audio)
        assert all(0 < len(chunk) <= audio.sample_rate // 2 for chunk in chunks)
        assert {chunk.channels for chunk in chunks} == {audio.channels}
        return np.concatenate([chunk.samples for chunk in chunks]), audio.sample_rate


def refusal(path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "float32", "float64"])
def test_wav_of_every_width(tmp_path: Path, kind: str) -> None:
    scale, zero = {"uint8": (127, 128), "int16": (32_767, 0), "int32": (2**31 - 1, 0)}.get(
        kind, (1, 0)
    )
    pcm = (SOUND.astype(np.float64) * scale + zero).round(0 if scale > 1 else 12).astype(kind)
    samples, rate = read(write_wav(tmp_path / "a.wav", pcm, RATE))
    assert rate == RATE and samples.shape == (len(SOUND), 1)
    assert np.array_equal(samples, AudioChunk(pcm, RATE).samples)


def test_wav_of_24_bits(tmp_path: Path) -> None:
    whole = (SOUND * (2**23 - 1)).astype("<i4")
    data = whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    samples, _ = read(write_wav_bytes(tmp_path / "a.wav", data, RATE))
    assert np.array_equal(samples[:, 0], (whole / 2**23).astype(np.float32))


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.mp3", "mp3", 44_100),
        ("a.m4a", "aac", 44_100),
        ("a.flac", "flac", 44_100),
        ("a.ogg", "libopus", 48_000),
        ("a.webm", "libopus", 48_000),
        ("a.mov", "pcm_s24le", 48_000),
    ],
)
def test_sound_starts_and_ends_where_it_did(
    tmp_path: Path, name: str, codec: str, rate: int
) -> None:
    """Encoders add delay and padding; both are removed."""
    sound = tone(1.0, rate, hertz=300)
    sound[rate // 2] = -1.0
    path = write_sound(tmp_path / name, np.stack([sound, sound], 1), rate, codec)
    samples, decoded_rate = read(path)
    assert decoded_rate == rate and samples.shape == (rate, 2)
    assert abs(int(samples[:, 0].argmin()) - rate // 2) <= 1


@pytest.mark.parametrize("codec", ["wmav1", "wmav2"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_no_sound_of_a_wma_is_lost(tmp_path: Path, codec: str, rate: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 3 * rate)
    sound = np.asarray(np.convolve(noise, np.hanning(9), "same"), np.float32)
    samples, _ = read(write_sound(tmp_path / "a.wma", sound, rate, codec))
    assert 3 * rate <= len(samples) < 3.05 * rate
    shifts = range(-rate // 10, rate // 10)  # its decoder skips 30 to 90 ms too much
    parts = [sound[rate + shift : 2 * rate + shift] for shift in shifts]
    likeness = [float(samples[rate : 2 * rate, 0] @ part) for part in parts]
    assert shifts[int(np.argmax(likeness))] == 0


def test_the_sound_of_a_video(tmp_path: Path) -> None:
    silent = write_video(tmp_path / "a.mp4", grey_levels(5), [Fraction(i, 25) for i in range(5)])
    assert "has no sound track" in refusal(silent)
    with Mp4Writer(tmp_path / "b.mp4", (64, 48), audio=(RATE, 1)) as movie:
        movie.write_frame(grey_levels(1)[0])
        movie.write_audio(AudioChunk(SOUND, RATE))
    samples, _ = read(tmp_path / "b.mp4")
    assert len(samples) == len(SOUND) and np.abs(samples[:, 0] - SOUND).mean() < 0.01


def test_the_header_tells_the_length_for_a_progress_bar(tmp_path: Path) -> None:
    with open_audio(write_wav(tmp_path / "a.wav", SOUND, RATE)) as audio:
        assert audio.duration_hint == pytest.approx(1.5)


def test_surround_is_folded_to_stereo(tmp_path: Path) -> None:
    sound = np.zeros((4_800, 6), np.int16)
    sound[:, 0] = sound[:, 2] = sound[:, 3] = 16_384  # front left, centre, bass
    samples, _ = read(write_wav(tmp_path / "a.wav", sound, 48_000))
    left, right = samples[100]
    assert samples.shape == (4_800, 2)
    assert left == pytest.approx(0.5 * (1 + 0.5**0.5) / (1 + 2 * 0.5**0.5), abs=1e-3)
    assert right == pytest.approx(0.5 * 0.5**0.5 / (1 + 2 * 0.5**0.5), abs=1e-3)


def test_a_pause_in_the_time_stamps_becomes_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.mka"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        for start in (0, 3_200, 19_200):  # 0.2 s of sound each, then 0.8 s of nothing
            frame = av.AudioFrame.from_ndarray(np.full((1, 3_200), 9_000, np.int16), "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, start, Fraction(1, 16_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    samples, _ = read(path)
    assert abs(len(samples) - 22_400) <= 16  # Matroska counts in milliseconds
    assert not samples[6_500:19_000].any() and samples[:6_400].all()


def test_what_is_no_sound_file_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("Dear diary, today I was renamed.\n" * 50)
    (tmp_path / "empty.wav").touch()
    assert "cannot be read as audio or video" in refusal(text)
    assert "is empty" in refusal(tmp_path / "empty.wav")
    assert "does not exist" in refusal(tmp_path / "missing.wav")
    assert "is a folder" in refusal(tmp_path)
    assert "no sound at all" in refusal(write_wav(tmp_path / "a.wav", np.zeros(0, np.int16), RATE))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_sound_are_refused(tmp_path: Path, bad: float) -> None:
    sound = SOUND.copy()
    sound[20_000] = bad
    assert "NaN or infinite" in refusal(write_wav(tmp_path / "a.wav", sound, RATE))


@pytest.mark.parametrize(
    ("name", "codec"), [("a.wav", "pcm_s16le"), ("a.m4a", "aac"), ("a.flac", "flac")]
)
def test_half_a_file_is_refused(tmp_path: Path, name: str, codec: str) -> None:
    path = write_sound(tmp_path / name, SOUND, RATE, codec)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "cut short" in refusal(path)


@pytest.mark.skipif(not hasattr(av.stream.Stream, "index_entries"), reason="needs PyAV 17")
def test_half_an_mp4_whose_index_stands_first_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("aac", rate=RATE)
        frame = av.AudioFrame.from_ndarray(np.stack([SOUND, SOUND]), "fltp", "stereo")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(AudioError, match="cut short"), open_audio(path):
        pytest.fail("was opened")


def test_half_an_mp3_is_a_shorter_mp3(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mp3", tone(2.0, RATE), RATE, "mp3")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    samples, _ = read(path)
    assert 0.8 * RATE < len(samples) < 1.2 * RATE


@pytest.mark.parametrize("announced", [0, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_wav_written_to_a_pipe_has_no_length(tmp_path: Path, announced: int) -> None:
    path = write_wav(tmp_path / "a.wav", SOUND, RATE, announced)
    assert len(read(path)[0]) == len(SOUND)


def test_damage_in_the_middle_is_an_error_not_an_end(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.m4a", tone(4.0, RATE), RATE, "aac")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2_000] = np.random.default_rng(1).bytes(2_000)
    path.write_bytes(content)
    assert "is damaged" in refusal(path)


def test_a_playlist_opens_nothing_else(tmp_path: Path) -> None:
    wav = write_wav(tmp_path / "secret.wav", SOUND, RATE)
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:3,\n{wav}\n#EXT-X-ENDLIST\n")
    concat = tmp_path / "list.wav"
    concat.write_text("ffconcat version 1.0\nfile secret.wav\n")
    assert "cannot be read as audio or video" in refusal(playlist)
    assert "cannot be read as audio or video" in refusal(concat)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_closed_file_is_named(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", SOUND, RATE)
    path.chmod(0)
    assert "may not be read" in refusal(path)


def test_an_audio_file_is_read_once(tmp_path: Path) -> None:
    with open_audio(write_wav(tmp_path / "a.wav", SOUND, RATE)) as audio:
        assert list(audio)
        with pytest.raises(RuntimeError, match="only once"):
            list(audio)


@pytest.mark.slow
def test_ten_minutes_need_no_more_memory_than_one(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.tile(tone(1.0, 16_000), 600), 16_000)
    tracemalloc.start()
    try:
        with open_audio(path) as audio:
            assert sum(len(chunk) for chunk in audio) == 9_600_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
