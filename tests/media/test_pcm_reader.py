"""Raw samples of every encoding are read to the sample."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from lipstream.config import PCM_ENCODINGS, PcmFormat
from lipstream.errors import AudioError, OptionError
from lipstream.media.audio_reader import open_audio
from lipstream.media.image import Floats
from tests.media_files import tone, write_wav

RATE = 8_000
SOUND = tone(1.0, RATE)


def read(path: Path, pcm: PcmFormat) -> Floats:
    with open_audio(path, pcm) as sound:
        assert sound.sample_rate == pcm.sample_rate
        return np.concatenate([chunk.samples for chunk in sound])


@pytest.mark.parametrize(
    ("encoding", "kind", "scale", "zero"),
    [
        ("s16le", "<i2", 32_767, 0),
        ("s16be", ">i2", 32_767, 0),
        ("s32le", "<i4", 2**31 - 200, 0),
        ("s8", "i1", 127, 0),
        ("u8", "u1", 127, 128),
        ("f32le", "<f4", 1, 0),
        ("f64be", ">f8", 1, 0),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_are_what_they_are_said_to_be(
    tmp_path: Path, encoding: str, kind: str, scale: int, zero: int, channels: int
) -> None:
    path = tmp_path / "a.pcm"
    frames = np.stack([SOUND, -SOUND][:channels], axis=1)
    path.write_bytes((frames * scale + zero).astype(kind).tobytes())
    samples = read(path, PcmFormat(encoding, RATE, channels))
    assert samples.shape == frames.shape
    assert np.abs(samples - frames).max() < 0.02


@pytest.mark.parametrize("encoding", PCM_ENCODINGS)
def test_every_encoding_is_known_and_half_a_sample_at_the_end_is_left_out(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "a.pcm"
    path.write_bytes(bytes(24_001))
    bits = int(re.sub(r"\D", "", encoding) or 8)  # mulaw and alaw name none
    assert len(read(path, PcmFormat(encoding, RATE))) == 24_001 // (bits // 8)


@pytest.mark.parametrize("encoding", ["s17le", "mp3", ""])
def test_an_unknown_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(OptionError, match="no PCM encoding .* use s16le, "):
        PcmFormat(encoding, RATE)


@pytest.mark.parametrize(("rate", "channels"), [(0, 1), (RATE, 0), (RATE, 65)])
def test_impossible_numbers_are_refused(rate: int, channels: int) -> None:
    with pytest.raises(OptionError):
        PcmFormat("s16le", rate, channels)


def test_a_file_with_a_header_is_not_raw(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", SOUND, RATE)
    with pytest.raises(AudioError, match="has a header, .*; leave out --audio-format"):
        read(path, PcmFormat("s16le", RATE))


def test_the_name_of_a_raw_file_tells_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.pcm"
    path.write_bytes((SOUND * 32_767).astype("<i2").tobytes())
    with pytest.raises(AudioError, match="raw samples need --audio-format"), open_audio(path):
        pass
