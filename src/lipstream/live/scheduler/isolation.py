"""Work for several sessions in one call, such that an error fails only the one that made it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from lipstream.rendering.base import FrameRequest, PendingPictures, PipelinedRenderer

if TYPE_CHECKING:
    from lipstream.live.scheduler.session_queue import RenderJob, SessionQueue
    from lipstream.media.image import Picture

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def each(
    items: Sequence[_Item], work: Callable[[Sequence[_Item]], Sequence[_Result]]
) -> list[_Result | Exception]:
    """The results of one call for all items or, when that raises, of a call for each.

    An item whose own call raises has its exception for a result.
    """
    try:
        results = work(items)
        if len(results) != len(items):
            raise RuntimeError(f"a backend gave {len(results)} results for {len(items)} requests.")
        return list(results)
    except Exception as error:  # whatever a backend raises is told to those concerned
        if len(items) == 1:
            return [error]
    return [result for item in items for result in each([item], work)]


@dataclass(frozen=True, slots=True, eq=False)
class PendingBatch:
    """A batch that the renderer's device is job."""

    frames: list[tuple[SessionQueue, RenderJob]]
    pending: PendingPictures | Exception  # or why it could not be begun
    began_ms: int

    @classmethod
    def begin(
        cls, renderer: PipelinedRenderer, frames: list[tuple[SessionQueue, RenderJob]], now_ms: int
    ) -> PendingBatch:
        """Never raises: what `renderer` raises is kept for `finish`."""
        try:
            pending = renderer.begin([job.request for _, job in frames])
        except Exception as error:  # whatever a backend raises is told to those concerned
            return cls(frames, error, now_ms)
        return cls(frames, pending, now_ms)

    def finish(self, renderer: PipelinedRenderer) -> list[Picture | Exception]:
        """The pictures as they are there; when the batch raised, its frames are drawn alone."""
        first = iter([self.pending])

        def wait(requests: Sequence[FrameRequest]) -> list[Picture]:
            pending = next(first, None)
            if pending is None:
                return renderer.render(requests)
            if isinstance(pending, Exception):
                raise pending
            return pending.finish()

        return each([job.request for _, job in self.frames], wait)
