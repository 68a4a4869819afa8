"""The public handle of an utterance: its owner pushes, ends or cancels it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from lipstream.live.session.speech_queue import SpeechQueue
from lipstream.live.session.types import UtteranceState
from lipstream.live.session.utterance_buffer import UtteranceBuffer
from lipstream.media.audio import AudioChunk


class Utterance:
    """Speech of one owner, made by `Session.open_utterance`. Used on the session's event loop.

    The utterances of a session play in the order in which they were opened. One without sound keeps
    its place, so its owner must end or cancel it. A `with` block ends it, on an error cancels it.

    `state` goes from "queued" through "speaking" to "ended". Before that it may become "cancelled"
    (by its owner, an interrupt, or the end of the session) or "failed" (it cannot be encoded).
    """

    def __init__(
        self,
        buffer: UtteranceBuffer,
        queue: SpeechQueue,
        cancel: Callable[[Sequence[UtteranceBuffer]], None],
    ) -> None:
        self.id = buffer.id  # the number of the utterance in its session, from 1
        self.sample_rate = buffer.sample_rate  # of all that is pushed, Hz
        self._buffer, self._queue, self._cancel = buffer, queue, cancel

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

    def __enter__(self) -> Utterance:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.end()
        else:
            self.cancel()

    def __repr__(self) -> str:
        return f"<Utterance {self.id}: {self.state}, {self.played_ms} ms played>"
