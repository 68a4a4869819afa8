"""Segments in, frames out. No state between calls: live, offline and in tests it is this."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import TypeAlias

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.config import MotionConfig, MuseTalkConfig, Progress, RuntimeOptions
from lipstream.media.image import Picture, TimedFrame
from lipstream.rendering.base import (
    FrameRequest,
    ParallelRenderer,
    PendingPictures,
    StillRenderer,
    pipelined,
    render_in_order,
)
from lipstream.rendering.registry import Backend, open_backend
from lipstream.stream import LipSyncStream, Segment
from lipstream.timeline import FPS, frame_ms


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The picture of an avatar at one frame of a stream, or one of two that are laid together."""

    avatar: Avatar
    index: int  # on the avatar's timeline
    share: float = 1.0  # 0..1 of it over what is shown before it in the same frame


# What is shown at a frame of a stream; it is asked for in order.
Show: TypeAlias = Callable[[int], Sequence[Shown]]


class Engine:
    """A backend that renders segments of any number of streams; a context manager."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def close(self) -> None:
        """Close the backend. May be called twice."""
        self.backend.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Engine({self.backend.name}, {float(self.fps):g} fps)"

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return self.backend.fps

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """Do the work that the backend needs once for an avatar; returns the avatar to use."""
        return self.backend.renderer.prepare(avatar, progress)

    def open_stream(self, avatar: Avatar, *, first_frame: int = 0) -> LipSyncStream:
        """A stream whose segments this engine renders; see `LipSyncStream`."""
        encoder = self.backend.encoder
        return LipSyncStream(avatar, encoder, fps=self.fps, first_frame=first_frame)

    def render(self, segments: Sequence[Segment]) -> list[TimedFrame]:
        """The frames of all `segments`, in their order, `frame_count` for each."""
        return list(self.flow([segments]))

    def flow(
        self,
        groups: Iterable[Sequence[Segment]],
        show: Show | None = None,
        *,
        parts: bool = False,
    ) -> Iterator[TimedFrame]:
        """The frames of one group of segments after the other; speech is encoded group by group.

        `show` tells which avatars are shown, where it is not that of the segment throughout.
        The caller's own work costs the renderer no time: a pipelined one has its next batch
        begun before the pictures of the last are given out, a parallel one as many frames as its
        workers take. No more than these are held. `parts` asks a `StillRenderer` for the moving
        part of each picture alone.
        """
        waiting: deque[tuple[int, Sequence[Shown]]] = deque()  # frames that are being drawn
        pictures = self._pictures(self._batches(groups, show, waiting), parts)
        for _, picture in pictures:
            frame, shown = waiting.popleft()
            for above in shown[1:]:
                _, other = next(pictures)
                picture = _laid_over(picture, other, above.share)
            yield TimedFrame(picture, frame_ms(frame, self.fps))

    def _pictures(
        self, batches: Iterable[list[FrameRequest]], parts: bool
    ) -> Iterator[tuple[FrameRequest, Picture]]:
        renderer = self.backend.renderer
        if parts and isinstance(renderer, StillRenderer):
            for batch in batches:
                yield from zip(batch, renderer.render_parts(batch), strict=True)
            return
        if isinstance(renderer, ParallelRenderer):
            yield from render_in_order(renderer, chain.from_iterable(batches))
            return
        device = pipelined(renderer)
        if device is None:
            for batch in batches:
                yield from zip(batch, renderer.render(batch), strict=True)
            return
        earlier: tuple[list[FrameRequest], PendingPictures] | None = None
        for batch in batches:
            begun = batch, device.begin(batch)
            if earlier is not None:
                yield from zip(earlier[0], earlier[1].finish(), strict=True)
            earlier = begun
        if earlier is not None:
            yield from zip(earlier[0], earlier[1].finish(), strict=True)

    def _batches(
        self,
        groups: Iterable[Sequence[Segment]],
        show: Show | None,
        waiting: deque[tuple[int, Sequence[Shown]]],
    ) -> Iterator[list[FrameRequest]]:
        """The requests of all groups, at most `backend.batch` at a time and of one group each.

        Each frame with what is shown at it is appended to `waiting`.
        """
        for segments in groups:
            conditionings = self.backend.encoder.encode([segment.context for segment in segments])
            requests: list[FrameRequest] = []
            for segment, rows in zip(segments, conditionings, strict=True):
                for offset in range(segment.frame_count):
                    frame = segment.first_frame + offset
                    shown = show(frame) if show else (Shown(segment.avatar, frame),)
                    waiting.append((frame, shown))
                    requests += [FrameRequest(one.avatar, one.index, rows[offset]) for one in shown]
                    while len(requests) >= self.backend.batch:
                        yield requests[: self.backend.batch]
                        requests = requests[self.backend.batch :]
            if requests:
                yield requests


def _laid_over(below: Picture, above: Picture, share: float) -> Picture:
    mixed = below + np.float32(share) * (above.astype(np.float32) - below)
    return np.asarray(np.rint(mixed), np.uint8)


def open_engine(
    backend: str = "auto",
    *,
    fps: Fraction | float = FPS,
    motion: MotionConfig | None = None,
    musetalk: MuseTalkConfig | None = None,
    runtime: RuntimeOptions | None = None,
    processes: int = 0,
) -> Engine:
    """Open a backend by its name, auto, puppet or musetalk, with an engine; see `open_backend`."""
    return Engine(
        open_backend(
            backend, fps=fps, motion=motion, musetalk=musetalk, runtime=runtime, processes=processes
        )
    )
