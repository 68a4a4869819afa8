"""The end of a session: when it comes, and why."""

from __future__ import annotations

from dataclasses import dataclass

from lipstream.live.clock import Clock
from lipstream.push.live_push import PushState
from lipstream.server.schemas.sessions import ViewerState
from lipstream.server.settings import ServeSettings

PUSH_GRACE_S = 120  # without a connection of its push, while nobody watches


@dataclass(frozen=True, slots=True)
class Presence:
    """The takers of a session's units: its viewer, and the server that it is pushed to."""

    viewer: ViewerState
    push: PushState | None  # of a session that is not pushed

    @property
    def seen(self) -> bool:
        """True while one of them takes units."""
        return "connected" in (self.viewer, self.push)

    @property
    def lost(self) -> bool:
        """True when one of them was there once, and is not now."""
        return "lost" in (self.viewer, self.push)

    @property
    def tried(self) -> bool:
        """True while the server may still take the push, for the first time or again."""
        return self.push in ("connecting", "lost")


class Deadlines:
    """Counts the time of one session: since it was opened, since it is seen or not, and since
    something happened in it."""

    def __init__(self, settings: ServeSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._opened_ms = self._changed_ms = self._touched_ms = clock.now_ms()

    @property
    def age_s(self) -> int:
        """Seconds since it was opened."""
        return (self._clock.now_ms() - self._opened_ms) // 1000

    def touch(self) -> None:
        """Postpone its end for being idle."""
        self._touched_ms = self._clock.now_ms()

    def restart(self) -> None:
        """Count from now: a viewer or a server of streams has come or gone."""
        self._changed_ms = self._clock.now_ms()
        self.touch()

    def patience_s(self, presence: Presence) -> int:
        """Seconds that it waits for somebody to take its units."""
        settings = self._settings
        seconds = settings.grace_s if presence.viewer == "lost" else settings.connect_timeout_s
        return max(seconds, PUSH_GRACE_S) if presence.tried else seconds

    def end_ms(self, presence: Presence, busy: bool) -> int:
        """The time at which it ends unless something happens; never for being idle while `busy`."""
        ends = [self._opened_ms + self._settings.max_duration_s * 1000]
        if not presence.seen:
            ends.append(self._changed_ms + self.patience_s(presence) * 1000)
        elif not busy:
            ends.append(self._touched_ms + self._settings.idle_timeout_s * 1000)
        return min(ends)

    def overdue(self, presence: Presence, busy: bool) -> str:
        """The reason why it ends now, in a word; empty when it does not."""
        now = self._clock.now_ms()
        if now < self.end_ms(presence, busy):
            return ""
        if now >= self._opened_ms + self._settings.max_duration_s * 1000:
            return "duration"
        if presence.seen:
            return "idle"
        return "vanished" if presence.lost else "unconnected"
