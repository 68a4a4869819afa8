"""Every frame of a video shows the right frame of the clip, whatever the order and the length."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from lipstream import clip_player
from lipstream.avatar.avatar import Avatar, QualityReport
from lipstream.avatar.clip_windows import ClipWindow
from lipstream.clip_player import LongClip, WholeAvatar, source_rate
from lipstream.config import AvatarConfig, ClipMode
from lipstream.engine import Engine, Shown
from lipstream.media.audio import AudioChunk
from lipstream.offline import render_stream
from tests.fakes import blank_avatar, read_stripes, stripe_backend
from tests.media_files import grey_levels, write_video

# 10 frames, of which the last 2 are the first of the next 8; then 5 after a cut.
SPANS = ((0, 10, 2, False), (8, 16, 0, False), (16, 21, 0, True))
ENGINE = Engine(stripe_backend())


class Windows:
    """Stands for `ClipWindows`."""

    def __init__(self, *_: object) -> None:
        self.read = 0

    def __iter__(self) -> Windows:
        return self

    def __next__(self) -> ClipWindow:
        if self.read == len(SPANS):
            raise StopIteration
        first, end, shared, last = SPANS[self.read]
        self.read += 1
        return ClipWindow(blank_avatar(frames=end - first), first, shared, last)

    def close(self) -> None:
        pass

    def report(self) -> QualityReport:
        return replace(blank_avatar().report, warnings=(f"{self.read} read",))


@pytest.fixture(autouse=True)
def fake_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_player, "ClipWindows", Windows)


def long_clip(mode: ClipMode) -> LongClip:
    return LongClip(Path("a.mp4"), mode, ENGINE, AvatarConfig(), None)


def places(shown: list[tuple[Shown, ...]]) -> list[int]:
    """The frames of the clip that are shown alone or last."""
    firsts = {10: 0, 8: 8, 5: 16}
    return [firsts[len(parts[-1].avatar.frames)] + parts[-1].index for parts in shown]


@pytest.mark.parametrize(
    ("mode", "after"),
    [
        ("once", [20] * 8),
        ("ping-pong", [19, 18, 17, 16, 17, 18, 19, 20]),
        ("loop", [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_a_long_clip_is_shown_from_window_to_window(mode: ClipMode, after: list[int]) -> None:
    player = long_clip(mode)
    shown = [tuple(player.show(frame)) for frame in range(29)]
    assert places(shown) == [*range(21), *after]
    assert [frame for frame, parts in enumerate(shown) if len(parts) == 2] == [8, 9]
    for frame, share in ((8, 1 / 3), (9, 2 / 3)):
        below, above = shown[frame]
        assert (below.index, below.share) == (frame, 1)
        assert above.index == frame - 8
        assert above.share == pytest.approx(share)
    assert player.endless == (mode != "once")
    assert player.warnings() == ("3 read",)  # of the first time, which was complete


def test_the_end_of_a_long_clip_is_known_with_its_last_window() -> None:
    player = long_clip("once")
    ends = []
    for frame in range(21):
        player.show(frame)
        ends.append(player.end)
    assert ends == [None] * 16 + [21] * 5


def test_no_more_than_two_windows_are_shown_at_once() -> None:
    player = long_clip("loop")
    shown = {id(part.avatar) for part in player.show(8)}
    assert len(shown) == 2
    for frame in range(9, 500):
        assert len(player.show(frame)) == (2 if frame % 21 in (8, 9) else 1)


@pytest.mark.parametrize(
    ("mode", "fps", "expected"),
    [
        ("once", 25, [0, 1, 2, 3, 3, 3, 3, 3, 3]),
        ("loop", 25, [0, 1, 2, 3, 0, 1, 2, 3, 0]),
        ("loop", 50, [0, 0, 1, 1, 2, 2, 3, 3, 0]),
        ("ping-pong", 25, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_a_short_clip_is_shown_in_the_order_asked_for(
    mode: ClipMode, fps: int, expected: list[int]
) -> None:
    engine = Engine(stripe_backend(fps=Fraction(fps)))
    player = WholeAvatar(blank_avatar(frames=4), mode, engine, None)
    assert [player.show(frame)[0].index for frame in range(9)] == expected
    assert player.end == 4 * fps // 25


@pytest.mark.parametrize("batch", [1, 3])
def test_two_windows_are_dissolved_in_the_movie(batch: int) -> None:
    engine = Engine(stripe_backend(batch=batch))
    player = long_clip("once")
    silence = AudioChunk(np.zeros(16_000, np.float32), 16_000)
    frames = list(render_stream(engine, player.avatar, [silence], show=player.show))
    indexes = [read_stripes(timed.frame)[0] for timed in frames]
    # Between 8 and 0, and 9 and 1, the numbers that the fake paints are mixed as colours are.
    expected = [*range(8), round(8 * 2 / 3), round(9 / 3 + 2 / 3), *range(2, 8), *range(5)]
    assert indexes == [*expected, *[4] * 4]
    assert [timed.timestamp_ms for timed in frames] == [40 * index for index in range(25)]


def test_an_animation_is_not_decoded_for_its_rate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, *others = [Pillow.fromarray(picture) for picture in grey_levels(3)]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=500)
    monkeypatch.setattr("lipstream.media.video_reader.read_animation", None)
    assert source_rate(tmp_path / "a.gif") == 25


def test_the_rate_of_a_film_is_its_own(tmp_path: Path) -> None:
    times = [Fraction(index, 30) for index in range(6)]
    assert source_rate(write_video(tmp_path / "a.mp4", grey_levels(6), times)) == 30


def test_a_picture_has_no_order() -> None:
    still: Avatar = replace(blank_avatar(), moving=False)
    player = WholeAvatar(still, "once", ENGINE, None)
    assert player.endless and player.show(7)[0].index == 7
