"""The protocols between the engine and a renderer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from lipstream.avatar.avatar import Avatar
from lipstream.config import MotionLevel, Progress
from lipstream.media.image import Floats, Picture

PixelFormat: TypeAlias = Literal["rgb24", "i420"]  # of pictures: `Image` or `I420`


@dataclass(frozen=True, slots=True, eq=False)
class FrameRequest:
    """One frame to render."""

    avatar: Avatar
    index: int  # of the frame in its stream: it selects the idle motion
    # Of the speech encoder. None is the idle picture, drawn as cheaply as can be, by no network.
    conditioning: Floats | None
    blend_weight: float = 1.0  # 0..1 from the idle picture to full speech
    motion: MotionLevel | None = None  # of a still portrait; None: as the renderer was opened


class Renderer(Protocol):
    """Conditioning -> pictures. Shared by all streams, holds no state of any."""

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """Do the work that an avatar needs once; `render` would do it on first sight.

        Returns the avatar to use from now on: the same, or one that carries what was prepared and
        is saved with it. `progress` is called with (frames done, total).
        """

    def render(self, requests: Sequence[FrameRequest]) -> list[Picture]:
        """One uint8 picture of the avatar's size per request.

        (height, width, 3) RGB, or `I420` where the renderer was opened with that pixel format.
        """


class PendingPictures(Protocol):
    """A batch that a device draws. It is finished once, or dropped."""

    def finish(self) -> list[Picture]:
        """Wait for the pictures of all requests, in their order; raises what drawing raised."""


@runtime_checkable
class PipelinedRenderer(Renderer, Protocol):
    """A renderer whose device may draw one batch while the caller does something else."""

    @property
    def overlaps(self) -> bool:
        """False where `finish` draws: one batch begun before it would only wait."""

    def begin(self, requests: Sequence[FrameRequest]) -> PendingPictures:
        """Start drawing and return at once; batches are drawn in the order they were begun.

        `render` is `begin(requests).finish()` and may be called while a batch is pending.
        """


@runtime_checkable
class ParallelRenderer(Renderer, Protocol):
    """A renderer with workers that draw frames side by side and finish them in any order."""

    @property
    def parallelism(self) -> int:
        """Frames that are drawn at the same time."""

    @property
    def slots(self) -> int:
        """Frames that may be in flight; with more, the rest only waits."""

    @property
    def restarts(self) -> int:
        """Workers that died or hung and were replaced."""

    @property
    def fault(self) -> str | None:
        """One sentence when nothing can be drawn at present."""

    def submit(self, request: FrameRequest) -> Future[Picture]:
        """Start drawing one frame of a prepared avatar and return at once.

        The future is done within seconds, whatever happens to the worker. Its callbacks are called
        on a thread of the renderer and must be quick.
        """


def pipelined(renderer: Renderer) -> PipelinedRenderer | None:
    """The renderer, where the next batch should be begun before the last one is waited for."""
    if isinstance(renderer, PipelinedRenderer) and renderer.overlaps:
        return renderer
    return None


def render_in_order(
    renderer: ParallelRenderer, requests: Iterable[FrameRequest]
) -> Iterator[tuple[FrameRequest, Picture]]:
    """Each request with its picture, at most `renderer.slots` of them in flight or waiting."""
    in_flight: deque[tuple[FrameRequest, Future[Picture]]] = deque()
    for request in requests:
        if len(in_flight) >= renderer.slots:
            earliest, picture = in_flight.popleft()
            yield earliest, picture.result()
        in_flight.append((request, renderer.submit(request)))
    for earliest, picture in in_flight:
        yield earliest, picture.result()
