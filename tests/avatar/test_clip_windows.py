"""A long clip comes in windows that hold what the whole would hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from lipstream.avatar import clip_windows, measured_clip
from lipstream.avatar.avatar import AvatarFrame
from lipstream.avatar.builder import build_avatar, is_clip
from lipstream.avatar.clip_windows import ClipWindow, ClipWindows
from lipstream.avatar.face.smoothing import fill_gaps, smooth
from lipstream.avatar.measured_clip import MeasuredClip
from lipstream.config import AvatarConfig
from lipstream.errors import FaceError
from lipstream.timeline import FPS
from tests.avatar.scenes import placed, swaying, write_clip

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

CONFIG = AvatarConfig()
SHARED = 6


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of at most 36 frames, and 6 shared."""
    for name, value in {"MAX_FRAMES": 30, "MIN_FRAMES": 24, "SHARED": SHARED}.items():
        monkeypatch.setattr(clip_windows, name, value)


class KnownClip:
    """Stands for a `MeasuredClip`: its frames are known, and nothing is decoded."""

    fps, size, portrait, places, cut_off, missed = FPS, (256, 256), None, (), 0, False

    def __init__(self, path: Path, track: Sequence[Floats | None], shots: Sequence[int]) -> None:
        self.path, self.track, self.shots = path, track, shots

    def __iter__(self) -> Iterator[AvatarFrame]:
        for number, (points, shot) in enumerate(zip(self.track, self.shots, strict=True)):
            yield AvatarFrame(str(number).encode(), points, shot)


def heads(count: int) -> list[Floats | None]:
    """The landmarks of a head that sways, as a tracker would measure them."""
    random = np.random.default_rng(0)
    face = random.uniform(80, 180, (468, 2))
    return [
        (face + 5 * np.sin(index / 9) + random.normal(0, 0.3, face.shape)).astype(np.float32)
        for index in range(count)
    ]


def windows_of(
    path: Path, track: Sequence[Floats | None], shots: Sequence[int]
) -> tuple[list[ClipWindow], ClipWindows]:
    path.write_bytes(b"a clip")
    windows = ClipWindows(cast(MeasuredClip, KnownClip(path, track, shots)), CONFIG)
    return list(windows), windows


def spans(windows: Sequence[ClipWindow]) -> list[tuple[int, int, int, bool]]:
    return [(window.first, window.end, window.shared, window.last) for window in windows]


@pytest.mark.parametrize(
    ("shots", "expected"),
    [
        ([10], [(0, 10, 0, True)]),
        ([53], [(0, 53, 0, True)]),
        ([54], [(0, 36, 6, False), (30, 54, 0, True)]),
        ([100], [(0, 36, 6, False), (30, 66, 6, False), (60, 100, 0, True)]),
        ([57, 43], [(0, 36, 6, False), (30, 57, 0, False), (57, 100, 0, True)]),
        ([33, 40], [(0, 33, 0, False), (33, 73, 0, True)]),
        ([10, 90], [(0, 36, 6, False), (30, 66, 6, False), (60, 100, 0, True)]),
    ],
)
def test_a_window_ends_with_a_shot_or_shares_frames(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shots: list[int],
    expected: list[tuple[int, int, int, bool]],
) -> None:
    monkeypatch.setattr(measured_clip, "smooth", lambda track, shots: track)  # it takes its time
    numbers = [number for number, length in enumerate(shots) for _ in range(length)]
    found, _ = windows_of(tmp_path / "a.mp4", heads(len(numbers)), numbers)
    assert spans(found) == expected
    for window in found:
        frames = [int(bytes(cast(bytes, frame.source))) for frame in window.avatar.frames]
        assert frames == list(range(window.first, window.end))


def test_landmarks_are_filled_and_smoothed_as_those_of_the_whole(tmp_path: Path) -> None:
    track, shots = heads(100), [0] * 100
    track[28:31] = [None] * 3
    whole = smooth(fill_gaps(track, shots), shots)
    found, windows = windows_of(tmp_path / "a.mp4", track, shots)
    for window in found:
        for place, frame in enumerate(window.avatar.frames, window.first):
            expected = whole[place]
            assert frame.landmarks is not None and expected is not None
            assert np.abs(frame.landmarks - expected).max() < 0.1
    assert len({window.avatar.digest for window in found}) == len(found)
    report = windows.report()
    assert (report.frames, report.faces_filled, report.faces_lost) == (112, 4, 0)


def test_a_part_without_a_face_is_part_of_the_clip(tmp_path: Path) -> None:
    track = [*[None] * 60, *heads(40)]
    found, windows = windows_of(tmp_path / "a.mp4", track, [0] * 60 + [1] * 40)
    assert not found[0].avatar.report.faces_found
    report = windows.report()
    assert report.faces_found == 40 and report.eye_distance > 0
    assert any("only 40 of" in warning for warning in report.warnings)
    assert not any("small" in warning for warning in report.warnings)


def test_a_warning_tells_in_how_many_parts_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_clip, "smooth", lambda track, shots: track)
    track = heads(100)
    far = [None if points is None else points / np.float32(4) for points in track[:60]]
    found, windows = windows_of(tmp_path / "a.mp4", [*far, *track[60:]], [0] * 60 + [1] * 40)
    small = [warning for warning in windows.report().warnings if "face is small" in warning]
    assert len(found) == 3
    assert len(small) == 1 and small[0].startswith("In 2 of 3 parts of the clip: The face is sma")


def test_a_clip_without_any_face_is_refused_in_the_end(tmp_path: Path) -> None:
    _, windows = windows_of(tmp_path / "a.mp4", [None] * 60, [0] * 60)
    with pytest.raises(FaceError, match="no face was found in .*a.mp4"):
        windows.report()


@pytest.mark.slow
def test_windows_of_a_real_clip_are_those_of_its_avatar(portrait: Image, tmp_path: Path) -> None:
    near = [placed(frame, size=1.3, x=20) for frame in swaying(portrait, 28)]
    path = write_clip(tmp_path / "a.mp4", [*swaying(portrait, 57), *near])
    windows = list(ClipWindows(MeasuredClip(path, CONFIG, FPS, inf), CONFIG))
    assert spans(windows) == [(0, 36, 6, False), (30, 57, 0, False), (57, 85, 0, True)]
    whole = build_avatar(path, CONFIG)
    for window in windows:
        assert window.avatar.moving and window.avatar.size == whole.size
        frames = whole.frames[window.first : window.end]
        for one, other in zip(window.avatar.frames, frames, strict=True):
            assert one.source == other.source
            assert one.landmarks is not None and other.landmarks is not None
            assert np.abs(one.landmarks - other.landmarks).max() < 0.2


def test_a_clip_is_told_from_a_picture(
    portrait: Image, portrait_path: Path, tmp_path: Path
) -> None:
    assert is_clip(write_clip(tmp_path / "a.mp4", [portrait] * 2))
    assert not is_clip(portrait_path)
