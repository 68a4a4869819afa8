"""What every renderer offers to the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.config import Progress
    from lipstream.media.image import Floats, Picture


@dataclass(frozen=True, slots=True, eq=False)
class FrameRequest:
    """One frame to render."""

    avatar: Avatar
    index: int  # of the frame in its stream: it selects the idle motion
    # What the speech encoder says of this frame. None is rest: idle motion and no speech, drawn as
    # cheaply as can be; no network is asked.
    conditioning: Floats | None
    blend_weight: float = 1.0  # 0..1 from the idle picture to full speech


class Renderer(Protocol):
    """Conditioning -> pictures. Shared by all streams, holds no state of any."""

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """Do the work that an avatar needs once; `render` would do it on first sight.

        Returns the avatar to use from now on: the same, or one that carries what was prepared and
        is saved with it. `progress` is told the frames done and their total.
        """
        ...

    def render(self, requests: Sequence[FrameRequest]) -> list[Picture]:
        """One uint8 picture of the avatar's size per request.

        (height, width, 3) RGB unless whoever opened the renderer asked for `I420`.
        """
        ...


class PendingPictures(Protocol):
    """A batch on its way. Whoever began it finishes it, once; it may be forgotten instead."""

    def finish(self) -> list[Picture]:
        """Wait for the pictures of all requests, in their order; raises what drawing raised."""
        ...


@runtime_checkable
class PipelinedRenderer(Renderer, Protocol):
    """A renderer whose device may draw while the caller does something else."""

    @property
    def overlaps(self) -> bool:
        """Whether it does; else `finish` draws, and one batch begun before it would only wait."""
        ...

    def begin(self, requests: Sequence[FrameRequest]) -> PendingPictures:
        """Start drawing and return at once; batches are drawn in the order they were begun.

        `render` is `begin(requests).finish()` and may be called while a batch is pending.
        """
        ...


def pipelined(renderer: Renderer) -> PipelinedRenderer | None:
    """The renderer, where the next batch should be begun before the last one is waited for."""
    if isinstance(renderer, PipelinedRenderer) and renderer.overlaps:
        return renderer
    return None
