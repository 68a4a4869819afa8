"""A clip of any length as a row of avatars of a few seconds each, of which few are held at once.

A window ends with a shot where one ends in time. Else it shares its last frames with the next one,
to be dissolved into it, since each window measures a mouth of its own.

    frames of a clip    0 ........ 299 300 .. 311 312 ........ 599 600 .. 611 612 ...
    window 1            =========================
    window 2                       =====================================
    window 3                                                       ================
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from lipstream.avatar.avatar import Avatar, AvatarFrame, QualityReport
from lipstream.avatar.builder import digest
from lipstream.avatar.face.smoothing import MAX_GAP, REACH, RIGID_SHAPE
from lipstream.avatar.framing import no_such_face
from lipstream.avatar.joined_report import joined_reports
from lipstream.avatar.measured_clip import MeasuredClip, steady_track, with_landmarks
from lipstream.avatar.quality import check_usable, measure_quality
from lipstream.config import AvatarConfig

MAX_FRAMES, MIN_FRAMES = 300, 75  # of a window, its shared frames not counted
SHARED = 12  # frames, half a second at 25: nobody sees a mouth change into its like so slowly
# Frames on either side that smoothing and filling look at.
MARGIN = int(REACH * RIGID_SHAPE[0]) + MAX_GAP


@dataclass(frozen=True, slots=True, eq=False)
class ClipWindow:
    """Some frames of a clip as an avatar."""

    avatar: Avatar
    first: int  # the number of its first frame in the clip
    shared: int  # of its last frames with the next window
    last: bool  # the clip ends with it

    @property
    def end(self) -> int:
        """The number in the clip of the frame after its last."""
        return self.first + len(self.avatar.frames)


class ClipWindows:
    """Iterating it, once, decodes the clip; it holds two windows and some frames."""

    def __init__(self, clip: MeasuredClip, config: AvatarConfig) -> None:
        self._clip, self._config = clip, config
        self._digest = digest(clip.path, config, clip.fps)
        self._reports: list[QualityReport] = []
        self._introduced = False  # the portrait of the clip was judged

    def report(self) -> QualityReport:
        """The report over all windows so far; FaceError when none of them has the face."""
        if self._clip.missed:
            raise no_such_face(self._clip.path, self._config, self._clip.places)
        report = joined_reports(self._reports)
        if not report.faces_found:
            check_usable(self._clip.path, report, self._config, self._clip.cut_off)
        return report

    def __iter__(self) -> Generator[ClipWindow, None, None]:
        source = iter(self._clip)
        before: list[AvatarFrame] = []  # of the window before, for smoothing
        frames: list[AvatarFrame] = []
        first, ended = 0, False
        while not (ended and not frames):
            while not ended and len(frames) < MAX_FRAMES + MIN_FRAMES:
                if (frame := next(source, None)) is None:
                    ended = True
                else:
                    frames.append(frame)
            whole = ended and len(frames) < MAX_FRAMES + MIN_FRAMES
            length, shared = (len(frames), 0) if whole else _cut(frames)
            avatar = self._avatar(before, frames, length + shared, first)
            yield ClipWindow(avatar, first, shared, whole)
            before = [*before, *frames[:length]][-MARGIN:]
            first, frames = first + length, frames[length:]

    def _avatar(
        self, before: list[AvatarFrame], frames: list[AvatarFrame], count: int, first: int
    ) -> Avatar:
        """The first `count` of `frames`, smoothed with all of them and those `before`."""
        every = [*before, *frames]
        track = steady_track(every, self._clip.fps)[len(before) : len(before) + count]
        shown = frames[:count]
        measured = [frame.landmarks for frame in shown]
        new = not self._introduced and any(points is not None for points in measured)
        self._introduced = self._introduced or new
        places = self._clip.places
        report = measure_quality(
            self._clip.size,
            measured,
            track,
            [frame.shot for frame in shown],
            len(places) if new else 1,
            self._clip.portrait if new else None,
            self._config,
            places if new else (),
            part=True,
        )
        self._reports.append(report)
        name = hashlib.sha256(f"{self._digest} {first}".encode()).hexdigest()
        return Avatar(with_landmarks(shown, track), True, name, report, fps=self._clip.fps)


def _cut(frames: Sequence[AvatarFrame]) -> tuple[int, int]:
    """The frames of the next window, and how many more it shares with the one after it."""
    for length in range(MAX_FRAMES + SHARED, MIN_FRAMES - 1, -1):
        if frames[length].shot != frames[length - 1].shot:
            return length, 0
    return MAX_FRAMES, SHARED
