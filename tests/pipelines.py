"""A fake pipelined renderer: a device that draws one batch after the other, and its log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lipstream.live.clock import ManualClock
from lipstream.rendering.base import FrameRequest
from tests.fakes import StripeRenderer

if TYPE_CHECKING:
    from lipstream.media.image import Image


class StripePipeline(StripeRenderer):
    """Draws stripes; a batch takes `cost_ms(frames)` of a clock moved by hand.

    `finish` moves the clock to the end of its batch; batches are drawn in the order they were
    begun. `refuse` says which requests raise, when they are begun or when they are waited for.
    """

    def __init__(
        self,
        clock: ManualClock | None = None,
        cost_ms: Callable[[int], int] = lambda frames: 10,
        refuse: Callable[[FrameRequest], bool] = lambda request: False,
        refuse_early: bool = False,
    ) -> None:
        super().__init__()
        self.overlaps = True
        self.clock, self.cost_ms = clock or ManualClock(), cost_ms
        self.refuse, self.refuse_early = refuse, refuse_early
        self.diary: list[str] = []
        self.pending = 0
        self._free_ms = 0  # when the device has drawn all that was begun

    def begin(self, requests: Sequence[FrameRequest]) -> StripesPending:
        names = ",".join(str(request.index) for request in requests)
        self.diary.append(f"begin {names}")
        if self.refuse_early and any(map(self.refuse, requests)):
            raise RuntimeError("this cannot be begun")
        start = max(self.clock.now_ms(), self._free_ms)
        self._free_ms = start + self.cost_ms(len(requests))
        self.pending += 1
        return StripesPending(self, requests, names, self._free_ms)

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        return self.begin(requests).finish()


class StripesPending:
    def __init__(
        self,
        renderer: StripePipeline,
        requests: Sequence[FrameRequest],
        names: str,
        end_ms: int,
    ) -> None:
        self._renderer, self._requests, self._names = renderer, requests, names
        self._end_ms = end_ms

    def finish(self) -> list[Image]:
        """Once only."""
        renderer, requests = self._renderer, self._requests
        self._requests = ()
        assert requests, "finished twice"
        renderer.diary.append(f"finish {self._names}")
        renderer.pending -= 1
        renderer.clock.advance(max(self._end_ms - renderer.clock.now_ms(), 0))
        if any(map(renderer.refuse, requests)):
            raise RuntimeError("this cannot be drawn")
        return StripeRenderer.render(renderer, requests)
