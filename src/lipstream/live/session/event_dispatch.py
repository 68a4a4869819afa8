"""The events of a session's utterances, for whoever listens."""

from __future__ import annotations

from collections.abc import Callable

from lipstream.live.session.types import EventKind, EventListener, SessionEvent
from lipstream.live.session.utterance_buffer import UtteranceBuffer
from lipstream.timeline import UNIT_MS


class EventDispatch:
    """Calls the listeners of a session, in the order in which they came, with every event."""

    def __init__(self) -> None:
        self._listeners: list[EventListener] = []

    def add(self, listener: EventListener) -> Callable[[], None]:
        """Call `listener` from now on; returns a remover."""
        self._listeners.append(listener)

        def remove() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return remove

    def close(self) -> None:
        """Call nobody any more."""
        self._listeners.clear()

    def unit_given(self, utterance: UtteranceBuffer, starts: bool) -> None:
        """Give what belongs to the unit of `utterance` that was read last."""
        if starts:
            self.emit("started", utterance.id, 0)
        self._captions(utterance, utterance.units, UNIT_MS * (utterance.units - 1))

    def finished(self, utterance: UtteranceBuffer) -> None:
        """Give the last event of `utterance`, by its state; before "ended" all captions left."""
        id, played_ms = utterance.id, utterance.played_ms
        if utterance.state == "failed":
            self._give(SessionEvent("failed", id, played_ms, error=utterance.error))
        elif utterance.state == "cancelled":
            self.emit("interrupted", id, played_ms)
        else:
            self._captions(utterance, None, played_ms)
            self.emit("ended", id, played_ms)

    def emit(self, kind: EventKind, utterance: int, played_ms: int) -> None:
        """Give an event without a caption or an error; `utterance` is an id."""
        self._give(SessionEvent(kind, utterance, played_ms))

    def _captions(self, utterance: UtteranceBuffer, units: int | None, played_ms: int) -> None:
        # An interrupt by a listener clears what is still due.
        for caption in utterance.captions.due(units):
            id, rate = utterance.id, utterance.sample_rate
            self._give(SessionEvent("caption", id, played_ms, caption, rate))

    def _give(self, event: SessionEvent) -> None:
        for listener in tuple(self._listeners):
            listener(event)
