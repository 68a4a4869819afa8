"""A parallel renderer of fakes: workers whose frames a test finishes, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from lipstream.rendering.base import FrameRequest
from tests.fakes import StripeRenderer

if TYPE_CHECKING:
    from lipstream.media.image import Image


class StripeWorkers(StripeRenderer):
    """Draws stripes when `finish` says so; until then they are `in_flight`."""

    def __init__(self, parallelism: int = 2, slots: int = 4) -> None:
        super().__init__()
        self.parallelism, self.slots = parallelism, slots
        self.restarts = 0
        self.fault: str | None = None
        self.most = 0  # frames that were in flight at once
        self.submitted: list[int] = []  # indexes of frames
        self.in_flight: dict[int, tuple[FrameRequest, Future[Image]]] = {}

    def submit(self, request: FrameRequest) -> Future[Image]:
        result: Future[Image] = Future()
        self.submitted.append(request.index)
        self.in_flight[request.index] = request, result
        self.most = max(self.most, len(self.in_flight))
        return result

    def finish(self, *indexes: int, error: Exception | None = None) -> None:
        """Finish these frames, by default all that are in flight."""
        for index in indexes or tuple(self.in_flight):
            request, result = self.in_flight.pop(index)
            if error is not None:
                result.set_exception(error)
            else:
                result.set_result(StripeRenderer.render(self, [request])[0])

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        raise AssertionError("frames are submitted one by one")
