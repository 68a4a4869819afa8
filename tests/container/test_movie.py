"""Movies are in sync to the sample, tagged as synthetic, and appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import threading
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from lipstream.audio import AudioChunk
from lipstream.config import MovieConfig
from lipstream.container import MovieWriter, open_audio, read_clip
from lipstream.container.movie import _Encoder, aac_rate
from lipstream.errors import OptionError, OutputError
from tests.media import grey_levels, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lipstream.video import Floats

DISK, PAGE = 102_400, 4_096  # bytes of a small disk and of its blocks


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
    with MovieWriter(path, size, fps, (rate, sound.shape[1])) as movie:
        for audio in (audio_first, not audio_first):
            if audio:
                for piece in np.array_split(sound, 7):
                    movie.write_audio(AudioChunk(piece, rate))
            else:
                for picture in grey_levels(pictures, *size):
                    movie.write_frame(picture)
    return path


def heard(path: Path) -> tuple[Floats, int]:
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
    decoded, decoded_rate = heard(path)
    assert (len(decoded), decoded_rate) == (samples, rate)
    assert abs(int(np.abs(decoded).argmax()) - at) <= 1
    with av.open(str(path)) as container:
        assert [stream.start_time for stream in container.streams] == [0, 0]


@pytest.mark.parametrize(("rate", "stored"), [(192_000, 48_000), (20_000, 22_050)])
def test_rates_aac_lacks_are_resampled(tmp_path: Path, rate: int, stored: int) -> None:
    decoded, decoded_rate = heard(write(tmp_path / "out.mp4", click(rate, rate // 4), rate))
    assert decoded_rate == stored == aac_rate(rate)
    assert abs(len(decoded) - stored) <= 1
    assert abs(int(np.abs(decoded).argmax()) - stored // 4) <= 1


@pytest.mark.parametrize(
    "fps", [Fraction(25), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(60)]
)
def test_every_frame_is_there_at_its_time(tmp_path: Path, fps: Fraction) -> None:
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
    with MovieWriter(path, size) as movie:
        movie.write_frame(picture)
    (image,) = read_clip(path)
    assert image.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    assert np.abs(image.astype(int) - 200).max() <= 3


def test_colours_are_tagged_and_kept(tmp_path: Path) -> None:
    path, colour = tmp_path / "out.mp4", (200, 120, 90)
    with MovieWriter(path, (64, 64)) as movie:
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


def test_a_browser_can_start_before_the_file_is_there(tmp_path: Path) -> None:
    """The index stands before the pictures."""
    content = write(tmp_path / "out.mp4", click(1_600, 5), 16_000).read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_the_callers_frame_may_be_reused(tmp_path: Path) -> None:
    canvas = np.zeros((48, 64, 3), np.uint8)
    with MovieWriter(tmp_path / "out.mp4", (64, 48)) as movie:
        for picture in grey_levels(20):
            canvas[:] = picture
            movie.write_frame(canvas)
    assert numbers(read_clip(tmp_path / "out.mp4")) == list(range(20))


class Interruption(BaseException):
    """Like KeyboardInterrupt, which pytest keeps for itself."""


@pytest.mark.parametrize("interruption", [Interruption, ValueError])
def test_an_exception_leaves_the_old_file_alone(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(interruption), MovieWriter(path, (64, 48)) as movie:
        movie.write_frame(grey_levels(1)[0])
        raise interruption
    assert left_in(tmp_path) == ["out.mp4"]
    assert path.read_bytes() == b"precious"
    assert not [thread for thread in threading.enumerate() if thread.name == "movie-writer"]


def test_the_target_appears_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with MovieWriter(path, (64, 48)) as movie:
        movie.write_frame(grey_levels(1)[0])
        assert not path.exists()
    assert left_in(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize("name", ["\N{GRINNING FACE}" * 60 + ".mp4", "x" * 251 + ".mp4"])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path, name: str) -> None:
    """Which counts bytes."""
    write(tmp_path / name, click(1_600, 5), 16_000)
    assert left_in(tmp_path) == [name]


def test_a_part_that_cannot_be_removed_hides_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(ZeroDivisionError), MovieWriter(tmp_path / "out.mp4", (64, 48)):
        raise ZeroDivisionError


def test_an_interrupt_before_the_work_begins_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(thread: threading.Thread) -> None:
        raise Interruption

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(Interruption), MovieWriter(tmp_path / "out.mp4", (64, 48)):
        pass
    assert left_in(tmp_path) == []


def test_an_interrupt_while_the_encoder_starts_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is still about to open its container when the caller is gone."""
    goes_on = threading.Event()

    def late(*arguments: Any) -> _Encoder:
        goes_on.wait()
        return _Encoder(*arguments)

    def interrupted(thread: threading.Thread) -> None:
        raise Interruption

    monkeypatch.setattr("lipstream.container.movie._Encoder", late)
    with monkeypatch.context() as patch, pytest.raises(Interruption):
        patch.setattr(threading.Thread, "join", interrupted)
        with MovieWriter(tmp_path / "out.mp4", (64, 48)) as writer:
            writer.write_frame(grey_levels(1)[0])
    goes_on.set()
    writer._thread.join()
    assert left_in(tmp_path) == []


def test_an_interrupt_while_the_queue_is_full_ends_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end could not be announced, so it is announced again on the way out."""
    writer = MovieWriter(tmp_path / "out.mp4", (64, 48))
    put = writer._queue.put

    def interrupted(item: object) -> None:
        monkeypatch.setattr(writer._queue, "put", put)
        raise Interruption

    with pytest.raises(Interruption), writer:
        monkeypatch.setattr(writer._queue, "put", interrupted)
    writer._thread.join()
    assert left_in(tmp_path) == []


def test_a_link_keeps_pointing_at_the_file_it_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, real = tmp_path / "link.mp4", tmp_path / "real" / "out.mp4"
    link.symlink_to(real)
    write(link, click(1_600, 5), 16_000)
    assert link.is_symlink() and real.is_file() and not real.is_symlink()


def test_a_movie_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frame"), MovieWriter(tmp_path / "out.mp4", (64, 48)):
        pass
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("out.avi", r"only \.mp4 files are written; name it out\.mp4"),
        ("out", r"only \.mp4"),
        ("missing/out.mp4", "does not exist; create it"),
        ("folder.mp4", "is a folder"),
        ("file.txt/out.mp4", "does not exist"),
        ("x" * 300 + ".mp4", "name too long"),
    ],
)
def test_an_impossible_target_is_refused_before_any_work(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file.txt").touch()
    with pytest.raises(OutputError, match=reason):
        MovieWriter(tmp_path / name, (64, 48))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_closed_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="not writable"):
        MovieWriter(tmp_path / "out.mp4", (64, 48))


def test_wrong_frames_and_sound_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(OptionError, match="64x48 RGB"), MovieWriter(path, (64, 48)) as movie:
        movie.write_frame(np.zeros((64, 48, 3), np.uint8))
    with pytest.raises(OptionError, match="48000 Hz"), MovieWriter(path, (64, 48)) as movie:
        movie.write_audio(AudioChunk(np.zeros((1, 1), np.float32), 48_000))
    with pytest.raises(OptionError, match="channels"):
        MovieWriter(path, (64, 48), audio=(16_000, 6))
    with pytest.raises(OptionError, match="0x48"):
        MovieWriter(path, (0, 48))


def test_what_the_encoder_refuses_is_an_output_error(tmp_path: Path) -> None:
    config = MovieConfig(preset="hasty")
    writer = MovieWriter(tmp_path / "out.mp4", (64, 48), config=config)
    with pytest.raises(OutputError, match=r"out\.mp4 cannot be written"), writer as movie:
        for picture in grey_levels(60):
            movie.write_frame(picture)
    assert left_in(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 100 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs mount")
    if done.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_full_disk_is_named_and_nothing_is_lost(small_disk: Path, share: float) -> None:
    """Wherever the space ends: at the header, in the pictures, or when the index is moved."""
    noise = np.random.default_rng(0).integers(0, 255, (8, 64, 96, 3), np.uint8)

    def write_noise(path: Path) -> None:
        with MovieWriter(path, (96, 64)) as movie:
            for picture in noise:
                movie.write_frame(picture)

    whole = small_disk.parent / "whole.mp4"
    write_noise(whole)
    spare = int(share * (whole.stat().st_size - PAGE))
    path, ballast = small_disk / "out.mp4", small_disk / "ballast"
    path.write_bytes(b"precious")
    ballast.write_bytes(bytes(DISK - PAGE - spare))
    with pytest.raises(OutputError, match="disk is full"):
        write_noise(path)
    assert path.read_bytes() == b"precious"
    assert left_in(small_disk) == ["ballast", "out.mp4"]
    ballast.unlink()
    write_noise(path)
    assert len(list(read_clip(path))) == len(noise)
