"""One session of the server: its live session, its viewer's connection, and its deadlines."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from lipstream.errors import BufferFullError, OptionError
from lipstream.live.clock import Clock
from lipstream.live.session.session import Session
from lipstream.live.session.types import Unit
from lipstream.live.session.utterance import Utterance
from lipstream.server.admission import Cost
from lipstream.server.avatars.entry import AvatarEntry, face_center
from lipstream.server.errors import ApiError
from lipstream.server.metrics import Metrics
from lipstream.server.outputs.recording import Recording
from lipstream.server.outputs.session_push import SessionPush
from lipstream.server.rtc.connection import WebRTCTransport
from lipstream.server.schemas import PushInfo, ViewerState
from lipstream.server.sessions.unit_feed import UnitFeed
from lipstream.server.sessions.viewer_voice import ViewerVoice
from lipstream.server.settings import ServeSettings
from lipstream.server.token_bucket import TokenBucket
from lipstream.speech.synthesis.base import Synthesizer

if TYPE_CHECKING:
    from lipstream.integrations.livekit.room_avatar import RoomAvatar

FIGURE_MS = 1_000  # least time between two readings of the frame rate
SHORT_ID = 8  # characters
MAX_UPLOADS = 4  # files of one session that are received, decoded, or pushed
TEXTS_PER_S, MAX_TEXTS = 2, 10  # that one session says in the long run, and at once
PUSH_GRACE_S = 120  # without a connection of its push, while nobody watches
MAX_LISTENERS = 4  # sockets of one session that are sent events alone
RETRY_S = "5"
NO_VOICE = (
    "this server has no voice; install the extra `tts`, or start it with --tts and the address of "
    "a provider of speech."
)
ENDED = "this session has ended; open a new one."

log = logging.getLogger("lipstream.server")


class ServerSession:
    """Everything that belongs to one session id. Used on the event loop only."""

    def __init__(
        self,
        session_id: str,
        entry: AvatarEntry,
        live: Session,
        settings: ServeSettings,
        metrics: Metrics,
        clock: Clock,
        whep_only: bool,
    ) -> None:
        assert entry.avatar is not None and entry.cost is not None
        self.id = session_id
        self.size, self.face = entry.avatar.size, face_center(entry.avatar)
        self._entry = entry
        self.live = live
        self.whep_only = whep_only  # opened by a WHEP player, which knows no session to return to
        self.connection: WebRTCTransport | None = None
        self.room: RoomAvatar | None = None  # that it is shown in, without a viewer's connection
        self.connection_id = 0  # of the newest one; requests that name an older one come too late
        self.state: ViewerState = "waiting"
        self.voice = ViewerVoice(self.touch)
        self.lock = asyncio.Lock()  # of the connection
        self.closed = False
        self.disconnect_socket: Callable[[], None] | None = None  # of the WebSocket for speech
        self._listeners: list[Callable[[], None]] = []  # end those that are sent events alone
        self._settings, self._metrics, self._clock = settings, metrics, clock
        now = clock.now_ms()
        self.opened_ms = self._changed_ms = self._touched_ms = now
        self._interrupted_ms: int | None = None
        self._uploads = 0
        # An interrupt makes room for the next text, and each may cost a request to a provider.
        self._texts = TokenBucket(TEXTS_PER_S, MAX_TEXTS, lambda: clock.now_ms() / 1000)
        self._tasks: set[asyncio.Task[None]] = set()  # that push uploads
        self._fps, self._read_at = 0.0, (now, live.counts.units)
        self._feed = UnitFeed(live)
        self._feed.add_sink(self._time_interrupt)
        self._recording: Recording | None = None
        self._push: SessionPush | None = None
        self._pushed = False  # when that changed last
        self._remove_listener = live.add_listener(lambda event: self.touch())

    @property
    def cost(self) -> Cost:
        """The cost of a frame, as measured last."""
        assert self._entry.cost is not None
        pushed = self._push is not None
        return self._entry.cost.with_outputs(recorded=self.recorded, pushed=pushed)

    @property
    def recorded(self) -> bool:
        """True for one whose units are kept in a file."""
        return self._recording is not None

    def record(self, recording: Recording) -> None:
        """Keep what is seen and heard of it from now on, until it ends."""
        self._recording = recording
        self._feed.add_sink(recording.put)
        self.live.add_listener(recording.note)

    @property
    def push(self) -> PushInfo | None:
        """The state of its push, if it is pushed."""
        return None if self._push is None else self._push.info

    def push_by(self, push: SessionPush) -> None:
        """Push what is seen and heard of it from the first connection on, whoever watches."""
        self._push = push
        self._feed.shared = True
        self._feed.add_sink(push.put)
        push.start()

    def push_changed(self, *, connected: bool) -> None:
        """Its push was connected or lost, or another try has failed. Deadlines count from now only
        where that is a change, as a server that is gone is tried for ever."""
        if connected != self._pushed:
            self._pushed, self._changed_ms = connected, self._clock.now_ms()
            self.touch()
        if connected:
            self._feed.draw()

    def units(self) -> AsyncIterator[Unit]:
        """The units of the session, for its viewer."""
        return self._feed.units()

    @property
    def short_id(self) -> str:
        """Enough to find it in a log and too little to use it."""
        return short_id(self.id)

    @property
    def avatar_id(self) -> str:
        """The id of its avatar, as short as in a log."""
        return self._entry.short_id

    @property
    def age_s(self) -> int:
        """Seconds since it was opened."""
        return (self._clock.now_ms() - self.opened_ms) // 1000

    @property
    def busy(self) -> bool:
        """True while speech is spoken, waits, or is uploaded or synthesized."""
        speaking = self.live.speaking or self.live.buffered_ms > 0
        return speaking or self._uploads > 0 or self.live.synthesizing

    @property
    def watched(self) -> bool:
        """True while a viewer is there, or about to be, or it is pushed."""
        return self.state in ("connecting", "connected") or self._seen

    @property
    def _seen(self) -> bool:
        """True while a viewer or a server of streams takes its units."""
        pushed = self._push is not None and self._push.state == "connected"
        return pushed or self.state == "connected"

    @property
    def patience_s(self) -> int:
        """Seconds that it waits for a connection."""
        settings = self._settings
        seconds = settings.grace_s if self.state == "lost" else settings.connect_timeout_s
        tried = self._push is not None and self._push.state in ("connecting", "lost")
        return max(seconds, PUSH_GRACE_S) if tried else seconds

    @property
    def deadline_ms(self) -> int:
        """The time at which it ends unless something happens."""
        settings = self._settings
        ends = [self.opened_ms + settings.max_duration_s * 1000]
        if not self._seen:
            ends.append(self._changed_ms + self.patience_s * 1000)
        elif not self.busy:
            ends.append(self._touched_ms + settings.idle_timeout_s * 1000)
        return min(ends)

    @property
    def overdue(self) -> str:
        """The reason why it ends now, in a word; empty when it does not."""
        now = self._clock.now_ms()
        if now < self.deadline_ms:
            return ""
        if now >= self.opened_ms + self._settings.max_duration_s * 1000:
            return "duration"
        if self._seen:
            return "idle"
        pushed = self._push is not None and self._push.state == "lost"
        return "vanished" if pushed or self.state == "lost" else "unconnected"

    def touch(self) -> None:
        """Postpone its end for being idle."""
        self._touched_ms = self._clock.now_ms()

    def enter(self, state: ViewerState) -> None:
        """Change the state of the connection; its deadlines count from now."""
        self.state, self._changed_ms = state, self._clock.now_ms()
        self.touch()
        self.voice.see(state)

    def interrupt(self) -> int:
        """Cancel all speech: spoken, waiting, or still on its way. Returns what was played, ms."""
        self.touch()
        if self.live.speaking:
            self._interrupted_ms = self._clock.now_ms()
        return self.live.interrupt()

    def say(self, text: str, synthesizer: Synthesizer | None, voice: str | None) -> Utterance:
        """Say `text` behind all other speech. ApiError 501 without a synthesizer, 422 for what it
        can't say, 429 when too many texts wait or come, 404 when the session has ended."""
        self.touch()
        if synthesizer is None:
            raise ApiError(501, NO_VOICE, "no_voice")
        if self.live.closed:
            raise ApiError(404, ENDED)
        if not self._texts.take():
            raise _too_many("too many texts come")
        try:
            return self.live.say(text, synthesizer, voice)
        except BufferFullError as error:
            raise _too_many(str(error).partition(";")[0]) from error
        except OptionError as error:
            raise ApiError(422, str(error)) from error

    @contextlib.contextmanager
    def open_upload(self, sample_rate: int) -> Iterator[Utterance]:
        """Open an utterance for a file that is on its way; an error cancels it. ApiError 429 when
        too many are on their way, 404 when the session has ended."""
        self.touch()
        if self._uploads >= MAX_UPLOADS:
            raise _too_many(f"{MAX_UPLOADS} files wait to be spoken already")
        try:
            utterance = self.live.open_utterance(sample_rate)
        except BufferFullError as error:
            raise _too_many("too many utterances wait to be spoken already") from error
        except OptionError as error:
            raise ApiError(404, ENDED) from error
        self._uploads += 1
        try:
            yield utterance
        except BaseException:
            utterance.cancel()
            raise
        finally:
            self._uploads -= 1

    @contextlib.contextmanager
    def listening(self, leave: Callable[[], None]) -> Iterator[None]:
        """Call `leave` when the session ends. ApiError 429 when as many listen as may."""
        if len(self._listeners) >= MAX_LISTENERS:
            raise ApiError(429, f"{MAX_LISTENERS} sockets listen to this session; close one first.")
        self._listeners.append(leave)
        try:
            yield
        finally:
            self._listeners.remove(leave)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the background, at most until the session ends; an error is logged. What
        it waits for must return when its utterance is cancelled."""
        task = asyncio.create_task(work, name=f"speech of {self.short_id}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def fps(self) -> float:
        """Units per second since the last call, at least a second ago."""
        then, before = self._read_at
        now, units = self._clock.now_ms(), self.live.counts.units
        if now - then >= FIGURE_MS:
            self._fps, self._read_at = 1000 * (units - before) / (now - then), (now, units)
        return self._fps

    async def close(self) -> None:
        """End everything that belongs to it. May be called twice; the second returns at once."""
        if self.closed:
            return
        self.closed = True
        if self.disconnect_socket is not None:
            self.disconnect_socket()
        for leave in tuple(self._listeners):
            leave()
        self.voice.close()
        self.live.close()  # cancels all utterances, so that the tasks end
        if self._recording is not None:
            self._recording.finish()
        ending = [*self._tasks, self.live.wait_closed()]
        if self._push is not None:
            ending.append(self._push.end())
        await asyncio.gather(*ending, self._feed.close(), return_exceptions=True)
        async with self.lock:
            await self.drop_connection()
        if self.room is not None:
            await self.room.close()
        self._remove_listener()

    def _time_interrupt(self, unit: Unit) -> None:
        """Measure when the first silent unit after an interrupt is given out."""
        if self._interrupted_ms is not None and not unit.speaking:
            self._metrics.interrupt_ms.observe(self._clock.now_ms() - self._interrupted_ms)
            self._interrupted_ms = None

    async def drop_connection(self) -> None:
        """Close the viewer's connection, if there is one. Call it with `lock` held."""
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.close()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            fields = {"session": self.short_id}
            log.error("a file could not be spoken: %s", error, exc_info=error, extra=fields)


def short_id(session_id: str) -> str:
    """The part of an id that logs show."""
    return session_id[:SHORT_ID]


def _too_many(reason: str) -> ApiError:
    return ApiError(429, f"{reason}; send the next one later.", headers={"Retry-After": RETRY_S})
