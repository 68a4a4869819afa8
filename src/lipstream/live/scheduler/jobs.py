"""The two kinds of work that sessions give to the scheduler."""

from __future__ import annotations

from collections.abc import Callable

from lipstream.live.scheduler.utterance_encoder import EncodeResult, UtteranceEncoder
from lipstream.media.image import Floats, Picture
from lipstream.rendering.base import FrameRequest


class Job:
    """Work with a deadline. The scheduler writes its result, then `done`; `error` if it failed.

    Cancelled, it is dropped before it costs anything.
    """

    __slots__ = ("cancelled", "done", "due", "error", "wake")

    def __init__(self, due: int, wake: Callable[[], None] | None = None) -> None:
        self.due = due  # ms of the scheduler's clock
        self.wake = wake  # called on the scheduler's thread when it is done
        self.cancelled = False
        self.done = False
        self.error: Exception | None = None

    def finish(self, error: Exception | None = None) -> None:
        """Let the owner know that nothing more will be written."""
        self.error, self.done = error, True
        if self.wake is not None:
            self.wake()


class RenderJob(Job):
    """One frame to draw, `due` when it shall be seen: later it is worthless, and may be dropped."""

    __slots__ = ("picture", "request")

    def __init__(self, request: FrameRequest, due: int) -> None:
        super().__init__(due)
        self.request = request
        self.picture: Picture | None = None


class EncodeJob(Job):
    """A piece of an utterance to encode; the pieces of one `encoder` are encoded in their order.

    Never dropped for being late: what was spoken before is needed to encode what comes after.
    `due` says which session is served first.
    """

    __slots__ = ("encoder", "last", "result", "samples")

    def __init__(
        self,
        encoder: UtteranceEncoder,
        samples: Floats,
        last: bool,
        due: int,
        wake: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(due, wake)
        self.encoder = encoder
        self.samples = samples  # (n,) mono, n may be 0
        self.last = last  # the utterance ends with these
        self.result: EncodeResult | None = None
