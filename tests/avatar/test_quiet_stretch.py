"""A live clip is the part in which its person listens, of one shot, or all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.avatar import Avatar, AvatarFrame
from lipstream.avatar.face.landmarks import INNER_LOWER_LIP, INNER_UPPER_LIP, mouth_width
from lipstream.avatar.quiet_stretch import quiet_stretch
from tests.fakes import blank_avatar

if TYPE_CHECKING:
    from lipstream.avatar.face.finder import Face


def clip(face: Face, plan: str, shots: str = "") -> Avatar:
    """Frames by letters: q is quiet, t talks, - has no face; ten of each, of the given shots."""
    shut = face.landmarks[:, :2].copy()
    lower, upper = list(INNER_LOWER_LIP), list(INNER_UPPER_LIP)
    shut[lower, 1] = shut[upper, 1] = (shut[lower, 1] + shut[upper, 1]) / 2
    wide = shut.copy()
    wide[lower[1:-1], 1] += 0.2 * mouth_width(shut)
    looks = {"q": shut, "t": wide, "-": None}
    frames = tuple(
        AvatarFrame(bytes([index]), looks[letter], int(shot))
        for index, (letter, shot) in enumerate(
            zip(
                (letter for letter in plan for _ in range(10)),
                (shot for shot in shots or "0" * len(plan) for _ in range(10)),
                strict=True,
            )
        )
    )
    report = replace(blank_avatar(256, 256, len(frames)).report, frames=len(frames))
    return Avatar(frames, True, "clip", report)


def places(avatar: Avatar) -> tuple[int, int]:
    """The first and the last of the clip's frames that are left."""
    first, last = avatar.frames[0].source, avatar.frames[-1].source
    assert isinstance(first, bytes) and isinstance(last, bytes)
    return first[0], last[0]


def test_the_longest_quiet_part_is_played(face: Face) -> None:
    quiet = quiet_stretch(clip(face, "tqqttqqqqqqqt"))
    assert places(quiet) == (50, 119)
    assert quiet.report.frames == len(quiet.frames) == 70
    assert "only the 3 seconds in which the person hardly talks" in quiet.report.warnings[-1]


def test_a_word_in_passing_ends_no_quiet_part(face: Face) -> None:
    avatar = clip(face, "ttqqqqqqqqttt")
    frames = list(avatar.frames)
    frames[60] = replace(frames[60], landmarks=frames[0].landmarks)
    assert places(quiet_stretch(replace(avatar, frames=tuple(frames)))) == (20, 99)


def test_a_loop_holds_no_cut_and_no_frame_without_a_face(face: Face) -> None:
    assert places(quiet_stretch(clip(face, "ttqqqqqqqqqq", "000001111111"))) == (50, 119)
    assert places(quiet_stretch(clip(face, "qqq--qqqqqq"))) == (50, 109)


def test_what_is_quiet_or_never_quiet_stays_whole(face: Face) -> None:
    for plan in ("qqqqqq", "tttqqqttt", "tttttt"):
        avatar = clip(face, plan)
        assert quiet_stretch(avatar) is avatar
    still = replace(clip(face, "tttqqqqqqq"), moving=False)
    assert quiet_stretch(still) is still
    prepared = replace(clip(face, "tttqqqqqqq"), extras={"musetalk": {"mask": np.zeros(3)}})
    assert quiet_stretch(prepared) is prepared
