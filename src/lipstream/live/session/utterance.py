"""The public handle of an utterance: its owner pushes, ends or cancels it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from lipstream.errors import LipstreamError, OptionError
from lipstream.live.session.speech_queue import SpeechQueue
from lipstream.live.session.types import UtteranceState
from lipstream.live.session.utterance_buffer import UtteranceBuffer
from lipstream.media.audio import AudioChunk
from lipstream.media.captions import Caption


class Utterance:
    """Speech of one owner, made by `Session.open_utterance`. Used on the session's event loop.

    The utterances of a session play in the order in which they were opened. One without sound keeps
    its place, so its owner must end or cancel it. A `with` block ends it, on an error cancels it.

    `state` goes from "queued" through "speaking" to "ended". Before that it may become "cancelled"
    (by its owner, an interrupt, or the end of the session) or "failed" (it cannot be encoded, or
    its owner says with `fail` that the rest will not come).
    """

    def __init__(
        self,
        buffer: UtteranceBuffer,
        queue: SpeechQueue,
        cancel: Callable[[Sequence[UtteranceBuffer]], None],
        fail: Callable[[UtteranceBuffer, LipstreamError], None],
    ) -> None:
        self.id = buffer.id  # the number of the utterance in its session, from 1
        self.sample_rate = buffer.sample_rate  # of all that is pushed, Hz
        self._buffer, self._queue = buffer, queue
        self._cancel, self._fail = cancel, fail

    @property
    def state(self) -> UtteranceState:
        """One of "queued", "speaking", "ended", "cancelled" and "failed"."""
        return self._buffer.state

    @property
    def finished(self) -> bool:
        """True when it has ended, was cancelled or has failed: no more of it will be played."""
        return self._buffer.finished

    @property
    def played_ms(self) -> int:
        """The speech that was given out, rounded down to whole milliseconds."""
        return self._buffer.played_ms

    @property
    def buffered_ms(self) -> int:
        """The speech that was pushed and is still to be given out; 0 once it is finished."""
        return self._buffer.buffered_ms

    def push(self, sound: AudioChunk | NDArray[Any]) -> None:
        """Take the next speech: a chunk, or samples as `AudioChunk` takes them.

        Sound for a cancelled or failed utterance is dropped, as its owner may not know yet. Nothing
        is taken on an error: AudioError when a chunk has another rate, OptionError after `end`,
        BufferFullError when there is no room.
        """
        if not isinstance(sound, AudioChunk):
            sound = AudioChunk(sound, self.sample_rate)
        self._queue.push(self._buffer, sound)

    def caption(self, caption: Caption) -> None:
        """Have a "caption" event given with the unit that holds the first sample of `caption`.

        It may come before its samples or after; one that comes too late is given with the next
        unit, one that begins beyond the end just before "ended". None is given after an interrupt.
        Those of an utterance that was cancelled or has failed are dropped. OptionError after `end`
        or for impossible times, BufferFullError when `limits.captions` wait.
        """
        if caption.start < 0 or (caption.end is not None and caption.end < caption.start):
            raise OptionError(
                f"a caption can't last from sample {caption.start} to {caption.end}; count from "
                "the beginning of its utterance."
            )
        if self._buffer.state in ("cancelled", "failed"):
            return
        if self._buffer.closed:
            raise OptionError(f"utterance {self.id} has ended; caption it before its end.")
        self._buffer.captions.add(caption)

    async def room(self, ms: int) -> None:
        """Return when `ms` more may be pushed, or when the utterance is finished.

        More than a session holds at all has room when nothing waits.
        """
        await self._queue.room(self._buffer, ms)

    def end(self) -> None:
        """Declare it complete. May be called twice, and when it is finished already."""
        self._queue.end(self._buffer)

    def cancel(self) -> None:
        """Play no more of it, not even what was pushed. Nothing happens when it is finished."""
        if not self._buffer.finished:
            self._cancel([self._buffer])

    def fail(self, error: LipstreamError) -> None:
        """Declare that the rest won't come, because of `error`.

        What was pushed is spoken, then "failed" is given with the error; at once where there was
        nothing. Nothing happens when it has ended or is finished.
        """
        self._fail(self._buffer, error)

    def __enter__(self) -> Utterance:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.end()
        else:
            self.cancel()

    def __repr__(self) -> str:
        return f"<Utterance {self.id}: {self.state}, {self.played_ms} ms played>"
