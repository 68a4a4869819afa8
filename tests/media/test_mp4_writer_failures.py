"""Whatever goes wrong, a movie appears whole or not at all."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lipstream.config import Mp4Config
from lipstream.errors import OutputError
from lipstream.media.mp4_encoder import Mp4Encoder
from lipstream.media.mp4_writer import Mp4Writer
from lipstream.media.video_reader import read_clip
from tests.media_files import grey_levels

if TYPE_CHECKING:
    from collections.abc import Iterator

DISK, PAGE = 102_400, 4_096  # bytes of a small disk and of its blocks


def write_grey(path: Path) -> None:
    with Mp4Writer(path, (64, 48)) as movie:
        movie.write_frame(grey_levels(1)[0])


def left_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


class Interruption(BaseException):
    """Like KeyboardInterrupt, which pytest keeps for itself."""


@pytest.mark.parametrize("interruption", [Interruption, ValueError])
def test_an_exception_leaves_the_old_file_alone(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(interruption), Mp4Writer(path, (64, 48)) as movie:
        movie.write_frame(grey_levels(1)[0])
        raise interruption
    assert left_in(tmp_path) == ["out.mp4"]
    assert path.read_bytes() == b"precious"
    assert not [thread for thread in threading.enumerate() if thread.name == "movie-writer"]


def test_the_target_appears_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with Mp4Writer(path, (64, 48)) as movie:
        movie.write_frame(grey_levels(1)[0])
        assert not path.exists()
    assert left_in(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize("name", ["\N{GRINNING FACE}" * 60 + ".mp4", "x" * 251 + ".mp4"])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path, name: str) -> None:
    """Counts bytes."""
    write_grey(tmp_path / name)
    assert left_in(tmp_path) == [name]


def test_a_part_that_cannot_be_removed_hides_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(ZeroDivisionError), Mp4Writer(tmp_path / "out.mp4", (64, 48)):
        raise ZeroDivisionError


def test_an_interrupt_before_the_work_begins_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(thread: threading.Thread) -> None:
        raise Interruption

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(Interruption), Mp4Writer(tmp_path / "out.mp4", (64, 48)):
        pass
    assert left_in(tmp_path) == []


def test_an_interrupt_while_the_encoder_starts_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is still about to open its container when the caller has left."""
    goes_on = threading.Event()

    def late(*arguments: Any, **named: Any) -> Mp4Encoder:
        goes_on.wait()
        return Mp4Encoder(*arguments, **named)

    def interrupted(thread: threading.Thread) -> None:
        raise Interruption

    monkeypatch.setattr("lipstream.media.mp4_writer.Mp4Encoder", late)
    with monkeypatch.context() as patch, pytest.raises(Interruption):
        patch.setattr(threading.Thread, "join", interrupted)
        with Mp4Writer(tmp_path / "out.mp4", (64, 48)) as writer:
            writer.write_frame(grey_levels(1)[0])
    goes_on.set()
    writer._thread.join()
    assert left_in(tmp_path) == []


def test_an_interrupt_while_the_queue_is_full_ends_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end could not be announced, so it is announced again on the way out."""
    writer = Mp4Writer(tmp_path / "out.mp4", (64, 48))
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
    write_grey(link)
    assert link.is_symlink() and real.is_file() and not real.is_symlink()


def test_a_movie_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frame"), Mp4Writer(tmp_path / "out.mp4", (64, 48)):
        pass
    assert left_in(tmp_path) == []


def test_what_the_encoder_refuses_is_an_output_error(tmp_path: Path) -> None:
    config = Mp4Config()
    object.__setattr__(config, "preset", "hasty")  # past its own check
    writer = Mp4Writer(tmp_path / "out.mp4", (64, 48), config=config)
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
        with Mp4Writer(path, (96, 64)) as movie:
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
