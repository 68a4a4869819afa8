"""A session in a file: in time, in sync, nobody else's, and nothing by halves."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from lipstream.errors import OutputError
from lipstream.live.session.types import SessionEvent, Unit
from lipstream.media.captions import Caption
from lipstream.media.mp4_encoder import Mp4Encoder, PartFile
from lipstream.server.outputs import recording as module
from lipstream.server.outputs.recording import MAX_UNITS, Recording, RecordingEnd
from tests.polling import poll
from tests.server.sources import MarkedSource, read_mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOURCE = MarkedSource()
PATIENCE_S = 20.0


def unit(index: int, *, loud: bool = False) -> Unit:
    made = SOURCE.unit(index)
    return Unit(
        index, made.frame, made.samples if loud else np.zeros_like(made.samples), loud, True
    )


def started(folder: Path) -> tuple[Recording, Queue[RecordingEnd]]:
    ends: Queue[RecordingEnd] = Queue()
    return Recording(folder / "a.mp4", ends.put), ends


def read(path: Path) -> tuple[list[tuple[float, int]], NDArray[np.float32]]:
    """When each picture is shown and which it is; the sound from time 0 on at 48 kHz."""
    shown, sound = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.time is not None
            shown.append(
                (round(frame.time, 4), read_mark(frame.to_ndarray(format="gray").astype(np.uint8)))
            )
    with av.open(str(path)) as container:
        for piece in container.decode(audio=0):
            assert piece.pts is not None
            sound.append(piece.to_ndarray()[0][max(0, -piece.pts) :])
    return shown, np.concatenate(sound)


def test_a_recording_has_every_unit_in_its_place_and_in_sync(tmp_path: Path) -> None:
    recording, ends = started(tmp_path)
    given = [*range(7, 20), *range(23, 40)]  # the session stalled for three units
    for index in given:
        if index == 30:
            recording.note(SessionEvent("caption", 1, 0, Caption("beep", 0, 24_000), 24_000))
        if index == 35:
            recording.note(SessionEvent("interrupted", 1, 200))
        recording.put(unit(index, loud=30 <= index < 35))
    recording.finish()
    recording.finish()
    end = ends.get(timeout=PATIENCE_S)
    assert (end.ending, end.seconds, end.captions) == ("kept", 33 * 0.04, 1)
    shown, sound = read(recording.path)
    expected = [*range(7, 20), 19, 19, 19, *range(23, 40)]
    assert shown == [(round(0.04 * n, 4), index) for n, index in enumerate(expected)]
    loud = np.flatnonzero(np.abs(sound) > 0.05)
    assert abs(loud[0] - 23 * 1920) < 480 and abs(loud[-1] - 28 * 1920) < 480  # 10 ms
    cue = recording.path.with_suffix(".vtt").read_text()
    assert "00:00:00.920 --> 00:00:01.320\nbeep" in cue
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "a.vtt"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_long_pause_is_left_out(tmp_path: Path) -> None:
    recording, ends = started(tmp_path)
    for index in (0, 1, 100_000, 100_001):
        recording.put(unit(index))
    recording.finish()
    assert ends.get(timeout=PATIENCE_S).seconds == 4 * 0.04
    assert [when for when, _ in read(recording.path)[0]] == [0.0, 0.04, 0.08, 0.12]


def test_a_session_that_nobody_saw_leaves_no_file(tmp_path: Path) -> None:
    recording, ends = started(tmp_path)
    recording.finish()
    assert ends.get(timeout=PATIENCE_S).ending == "empty"
    recording.put(unit(0))  # one that comes too late
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("held", [0, 160])
def test_a_full_disk_ends_the_recording_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    """What could be played of it stays, hidden."""
    full = threading.Event()

    def write(self: PartFile, data: Any, /) -> int:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, data)

    original = PartFile.write
    monkeypatch.setattr(PartFile, "write", write)
    recording, ends = started(tmp_path)
    for index in range(held):
        recording.put(unit(index))
        if index % MAX_UNITS == MAX_UNITS - 1:
            poll(lambda: not recording.waiting, PATIENCE_S, lambda: "nothing is written")
    poll(lambda: not recording.waiting, PATIENCE_S, lambda: "nothing is written")
    full.set()
    recording.put(unit(held))
    recording.finish()
    end = ends.get(timeout=PATIENCE_S)
    assert (end.ending, end.reason) == ("failed", "the disk is full")
    recording.put(unit(held + 1))
    assert recording.waiting == 0
    left = list(tmp_path.iterdir())
    assert [path.suffix for path in left] == [".part"] * (held > 0)
    if left:
        assert [index for _, index in read(left[0])[0]] == list(range(125))


def test_captions_that_cannot_be_written_leave_the_movie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_captions(*_: Any, **__: Any) -> None:
        raise OutputError("a.vtt cannot be written") from OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(module, "write_captions", write_captions)
    recording, ends = started(tmp_path)
    recording.note(SessionEvent("caption", 1, 0, Caption("beep", 0, 24_000), 24_000))
    recording.put(unit(0))
    recording.finish()
    end = ends.get(timeout=PATIENCE_S)
    assert end == RecordingEnd("kept", 0.04, 0, "no captions: the disk is full")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_disk_that_hangs_costs_units_of_the_recording_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, hangs = threading.Event(), threading.Event()

    def slow(*arguments: Any, **named: Any) -> Mp4Encoder:
        hangs.set()
        assert goes_on.wait(PATIENCE_S)
        return Mp4Encoder(*arguments, **named)

    monkeypatch.setattr(module, "Mp4Encoder", slow)
    recording, ends = started(tmp_path)
    recording.put(unit(0))
    assert hangs.wait(PATIENCE_S)
    for index in range(1, MAX_UNITS + 10):
        recording.put(unit(index))
    goes_on.set()
    poll(lambda: not recording.waiting, PATIENCE_S, lambda: "nothing is written")
    recording.put(unit(MAX_UNITS + 10))
    recording.finish()
    assert ends.get(timeout=PATIENCE_S).seconds == (MAX_UNITS + 11) * 0.04
    assert recording.left_out == 9
    assert [index for _, index in read(recording.path)[0]][-11:] == [
        *[MAX_UNITS] * 10,
        MAX_UNITS + 10,
    ]
