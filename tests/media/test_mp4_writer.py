"""Movies are in sync to the sample, keep their colours and are tagged as synthetic."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from lipstream.config import Mp4Config
from lipstream.errors import OptionError
from lipstream.media.audio import AudioChunk
from lipstream.media.audio_reader import open_audio
from lipstream.media.image import Box
from lipstream.media.mp4_encoder import aac_rate
from lipstream.media.mp4_writer import Mp4Writer, StillPicture
from lipstream.media.video_reader import read_clip
from tests.media_files import grey_levels, numbers

if TYPE_CHECKING:
    from lipstream.media.image import Floats


def click(samples: int, at: int, channels: int = 1) -> Floats:
    sound = np.zeros((samples, channels), np.float32)
    sound[at] = 0.9
    return sound


def write(
    path: Path,
    sound: Floats,
    rate: int,
    size: tuple[int, int] = (64, 48),
    fps: Fraction = Fraction(25),
    pictures: int = 20,
    audio_first: bool = False,
) -> Path:
    """`sound` and `pictures` numbered grey pictures, one of them wholly before the other."""
    with Mp4Writer(path, size, fps, (rate, sound.shape[1])) as movie:
        for audio in (audio_first, not audio_first):
            if audio:
                for piece in np.array_split(sound, 7):
                    movie.write_audio(AudioChunk(piece, rate))
            else:
                for picture in grey_levels(pictures, *size):
                    movie.write_frame(picture)
    return path


def decode(path: Path) -> tuple[Floats, int]:
    """Mono sound of a file and its rate."""
    with open_audio(path) as audio:
        return np.concatenate([chunk.mono() for chunk in audio]), audio.sample_rate


def left_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("audio_first", [True, False])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (22_050, 1), (44_100, 2), (48_000, 2)])
def test_sound_is_where_it_was_to_the_sample(
    tmp_path: Path, rate: int, channels: int, audio_first: bool
) -> None:
    samples, at = rate + 123, rate // 2 + 7
    sound = click(samples, at, channels)
    path = write(tmp_path / "out.mp4", sound, rate, audio_first=audio_first)
    decoded, decoded_rate = decode(path)
    assert (len(decoded), decoded_rate) == (samples, rate)
    assert abs(int(np.abs(decoded).argmax()) - at) <= 1
    with av.open(str(path)) as container:
        assert [stream.start_time for stream in container.streams] == [0, 0]


@pytest.mark.parametrize(("rate", "stored"), [(192_000, 48_000), (20_000, 22_050)])
def test_rates_aac_lacks_are_resampled(tmp_path: Path, rate: int, stored: int) -> None:
    decoded, decoded_rate = decode(write(tmp_path / "out.mp4", click(rate, rate // 4), rate))
    assert decoded_rate == stored == aac_rate(rate)
    assert abs(len(decoded) - stored) <= 1
    assert abs(int(np.abs(decoded).argmax()) - stored // 4) <= 1


@pytest.mark.parametrize(
    "fps", [Fraction(25), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(60)]
)
def test_every_frame_is_shown_at_its_time(tmp_path: Path, fps: Fraction) -> None:
    path = write(tmp_path / "out.mp4", click(16_000, 5), 16_000, fps=fps, pictures=40)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        unit = container.streams.video[0].time_base or Fraction(0)
        assert [(frame.pts or 0) * unit for frame in frames] == [i / fps for i in range(40)]
        assert container.streams.video[0].average_rate == fps
    assert numbers(read_clip(path, fps)) == list(range(40))


@pytest.mark.parametrize("size", [(65, 63), (64, 63), (1, 1), (512, 2)])
def test_odd_sides_are_filled_by_repeating_the_edge(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "out.mp4"
    picture = np.full((size[1], size[0], 3), 200, np.uint8)
    with Mp4Writer(path, size) as movie:
        movie.write_frame(picture)
    (image,) = read_clip(path)
    assert image.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    assert np.abs(image.astype(int) - 200).max() <= 3


def test_colours_are_tagged_and_kept(tmp_path: Path) -> None:
    path, colour = tmp_path / "out.mp4", (200, 120, 90)
    with Mp4Writer(path, (64, 64)) as movie:
        movie.write_frame(np.full((64, 64, 3), colour, np.uint8))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        context = container.streams.video[0].codec_context
        tags = (context.color_primaries, context.color_trc, frame.colorspace, frame.color_range)
        assert tags == (1, 1, 1, 1)  # BT.709, limited range
    (image,) = read_clip(path)
    assert np.abs(image.astype(int) - colour).max() <= 3


def test_the_movie_says_that_it_is_synthetic(tmp_path: Path) -> None:
    path = write(tmp_path / "out.mp4", click(1_600, 5), 16_000)
    with av.open(str(path)) as container:
        assert "AI-generated" in container.metadata["title"]
        assert "AI-generated" in container.metadata["comment"]


def test_a_browser_can_start_before_the_file_is_complete(tmp_path: Path) -> None:
    """The index stands before the pictures."""
    content = write(tmp_path / "out.mp4", click(1_600, 5), 16_000).read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_the_callers_frame_may_be_reused(tmp_path: Path) -> None:
    canvas = np.zeros((48, 64, 3), np.uint8)
    with Mp4Writer(tmp_path / "out.mp4", (64, 48)) as movie:
        for picture in grey_levels(20):
            canvas[:] = picture
            movie.write_frame(canvas)
    assert numbers(read_clip(tmp_path / "out.mp4")) == list(range(20))


def test_wrong_frames_and_sound_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(OptionError, match="64x48 RGB"), Mp4Writer(path, (64, 48)) as movie:
        movie.write_frame(np.zeros((64, 48, 3), np.uint8))
    with pytest.raises(OptionError, match="48000 Hz"), Mp4Writer(path, (64, 48)) as movie:
        movie.write_audio(AudioChunk(np.zeros((1, 1), np.float32), 48_000))
    with pytest.raises(OptionError, match="channels"):
        Mp4Writer(path, (64, 48), audio=(16_000, 6))
    with pytest.raises(OptionError, match="0x48"):
        Mp4Writer(path, (0, 48))


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
@pytest.mark.parametrize(
    "around", [Box(10, 8, 30, 21), Box(11, 7, 63, 47), Box(0, 0, 1, 1), Box(0, 0, 64, 48)]
)
def test_a_still_background_is_written_as_a_moving_one(
    tmp_path: Path, size: tuple[int, int], around: Box
) -> None:
    rng = np.random.default_rng(1)
    background = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    moving = around.on_even_pixels(*size)
    written = []
    for still in (None, StillPicture(background, moving)):
        path = tmp_path / "movie.mp4"
        # At the preset of files x264 looks less far ahead in such a movie.
        with Mp4Writer(path, size, config=Mp4Config(preset="fast"), still=still) as movie:
            for index in range(60):  # more than x264 keeps at a time
                frame = background.copy()
                frame[moving.slices] = 4 * index
                movie.write_frame(frame if still is None else frame[moving.slices])
        written.append(path.read_bytes())
    assert written[0] == written[1]
