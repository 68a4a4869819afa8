"""Segments in, frames out. No state between calls: live, offline and in tests it is this."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from lipstream.avatar.avatar import Avatar
from lipstream.rendering.backends import Backend
from lipstream.rendering.renderer import FrameRequest
from lipstream.stream import LipSyncStream, Segment
from lipstream.timeline import FPS, frame_ms
from lipstream.video import TimedFrame


class Engine:
    """A backend that renders segments of any number of streams."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return self.backend.fps

    def open_stream(
        self, avatar: Avatar, *, first_frame: int = 0, generation: int = 0
    ) -> LipSyncStream:
        """A stream whose segments this engine renders."""
        return LipSyncStream(
            avatar,
            self.backend.encoder,
            fps=self.fps,
            first_frame=first_frame,
            generation=generation,
        )

    def render(self, segments: Sequence[Segment]) -> list[TimedFrame]:
        """The frames of all `segments`, in their order, `frame_count` for each."""
        conditionings = self.backend.encoder.encode([segment.context for segment in segments])
        requests = [
            FrameRequest(segment.avatar, segment.first_frame + offset, rows[offset])
            for segment, rows in zip(segments, conditionings, strict=True)
            for offset in range(segment.frame_count)
        ]
        pictures = self.backend.renderer.render(requests)
        return [
            TimedFrame(picture, frame_ms(request.index, self.fps))
            for request, picture in zip(requests, pictures, strict=True)
        ]


def open_engine(backend: Backend | None = None) -> Engine:
    """An engine on `backend`, or on the best one this machine has."""
    if backend is None:
        from lipstream.rendering.backends import open_backend

        backend = open_backend("auto", fps=FPS)
    return Engine(backend)
