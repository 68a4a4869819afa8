"""The source of each frame of a video: an avatar, or a clip of any length part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, inf
from pathlib import Path
from typing import Protocol

from lipstream.avatar.avatar import Avatar, ping_pong
from lipstream.avatar.builder import is_clip, open_avatar
from lipstream.avatar.clip_windows import ClipWindow, ClipWindows
from lipstream.avatar.measured_clip import MeasuredClip
from lipstream.avatar.storage import is_avatar, load_avatar
from lipstream.config import AvatarConfig, ClipMode, Progress
from lipstream.engine import Engine, Shown
from lipstream.media.pictures.picture_file import picture_kind
from lipstream.timeline import FPS


class ClipPlayer(Protocol):
    """Shows the frames of one video, which are asked for in order."""

    avatar: Avatar  # the first that is shown

    @property
    def end(self) -> int | None:
        """The frames after which a clip played once is over; None while that is not known."""

    @property
    def endless(self) -> bool:
        """True for what has no end of its own."""

    def show(self, frame: int) -> Sequence[Shown]:
        """The pictures to show at a frame: two where one dissolves into the other."""

    def warnings(self) -> tuple[str, ...]:
        """One sentence for each thing to do better; FaceError when nothing could be animated."""

    def close(self) -> None:
        """Close the file."""


def open_player(
    avatar: Avatar | str | Path,
    mode: ClipMode,
    engine: Engine,
    config: AvatarConfig | None = None,
    progress: Progress | None = None,
) -> ClipPlayer:
    """Prepare an avatar, or the first part of a clip of more than `config.max_seconds`."""
    config = config or AvatarConfig()
    if not isinstance(avatar, Avatar):
        path = Path(avatar)
        if is_clip(path) and _seconds(path, config) > config.max_seconds:
            return LongClip(path, mode, engine, config, progress)
        avatar = open_avatar(path, config, progress, engine.fps)
    return WholeAvatar(avatar, mode, engine, progress)


def source_rate(avatar: str | Path) -> Fraction:
    """The frames per second of a film, 60 at most, or of a prepared one; 25 for anything else."""
    from lipstream.media.video_reader import read_facts

    path = Path(avatar)
    if is_avatar(path):
        return load_avatar(path).fps
    return FPS if picture_kind(path) else read_facts(path).fps


def _seconds(path: Path, config: AvatarConfig) -> Fraction:
    from lipstream.media.video_reader import read_facts

    return read_facts(path, config.max_pixels).seconds


class WholeAvatar:
    """An avatar that is held as a whole: a picture, or a short clip."""

    def __init__(
        self, avatar: Avatar, mode: ClipMode, engine: Engine, progress: Progress | None
    ) -> None:
        self._mode = mode if avatar.moving else "ping-pong"
        self._rate = avatar.fps / engine.fps
        if self._mode != "ping-pong":
            avatar = replace(avatar, fps=engine.fps)  # then a frame's index is its place
        self.avatar = engine.prepare(avatar, progress)

    @property
    def end(self) -> int | None:
        return ceil(len(self.avatar.frames) / self._rate)

    @property
    def endless(self) -> bool:
        return self._mode != "once"

    def show(self, frame: int) -> Sequence[Shown]:
        if self._mode == "ping-pong":
            return (Shown(self.avatar, frame),)
        place, count = int(frame * self._rate), len(self.avatar.frames)
        place = place % count if self._mode == "loop" else min(place, count - 1)
        return (Shown(self.avatar, place),)

    def warnings(self) -> tuple[str, ...]:
        return self.avatar.report.warnings

    def close(self) -> None:
        pass


class LongClip:
    """A clip that is read while it is shown; two windows of it are held at most.

    Behind its end, `once` holds its last picture, `loop` reads it again, and `ping-pong` swings
    through its last window, as the way back through all of it would have to be kept.
    """

    def __init__(
        self,
        path: Path,
        mode: ClipMode,
        engine: Engine,
        config: AvatarConfig,
        progress: Progress | None,
    ) -> None:
        self._path, self._mode, self._engine, self._config = path, mode, engine, config
        self._progress = progress
        self._begun = 0  # the frame of the video at which the clip was begun the last time
        self._first_pass = self._begin()
        self.avatar = self._now.avatar

    def _begin(self) -> ClipWindows:
        clip = MeasuredClip(self._path, self._config, self._engine.fps, inf)
        windows = ClipWindows(clip, self._config)
        self._source = iter(windows)
        self._now = self._take()
        self._next: ClipWindow | None = None
        return windows

    def _take(self) -> ClipWindow:
        window = next(self._source)
        if self._progress is not None:
            self._progress(window.end, None)
        return replace(window, avatar=self._engine.prepare(window.avatar))

    @property
    def end(self) -> int | None:
        return self._begun + self._now.end if self._now.last else None

    @property
    def endless(self) -> bool:
        return self._mode != "once"

    def show(self, frame: int) -> Sequence[Shown]:
        if self._mode == "loop" and self.end is not None and frame >= self.end:
            self._begun = self.end
            self._begin()
        at = frame - self._begun - self._now.first  # in the window
        count = len(self._now.avatar.frames)
        if not self._now.last and at >= count - self._now.shared:
            self._next = self._next or self._take()
            if at >= count:
                self._now, self._next = self._next, None
                return self.show(frame)
            share = (at - (count - self._now.shared) + 1) / (self._now.shared + 1)
            before, after = Shown(self._now.avatar, at), self._next
            return before, Shown(after.avatar, at - (count - self._now.shared), share)
        place = min(at, count - 1) if self._mode == "once" else ping_pong(at, count)
        return (Shown(self._now.avatar, place),)

    def warnings(self) -> tuple[str, ...]:
        return self._first_pass.report().warnings

    def close(self) -> None:
        self._source.close()
