"""One thread that works for all live sessions of a backend, earliest deadline first."""

from __future__ import annotations

import heapq
import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from lipstream.avatar.avatar import Avatar
from lipstream.batcher.hearing import Heard, Hearing
from lipstream.batcher.lane import Drawing, Lane, Listening
from lipstream.engine import Engine
from lipstream.errors import OptionError
from lipstream.playout import Clock, MonotonicClock
from lipstream.rendering.threads import one_thread_per_picture
from lipstream.stream import Segment
from lipstream.timeline import FPS

if TYPE_CHECKING:
    from lipstream.video import Floats

PIECES_AT_ONCE = 16  # of speech, heard between two batches of frames
# What was late is answered with so much more time for all, at most so often and so much; taken back
# by this for each frame in time, so that about one frame in 400 is late under a heavy load.
RESERVE_STEP_MS, RESERVE_EVERY_MS, MOST_RESERVE_MS, RESERVE_DECAY_MS = 20, 100, 240, 0.05

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class BatcherCounts:
    """What the batcher has done. Written by its thread; may be read from any."""

    batches: int = 0  # calls of the renderer
    drawn: int = 0  # frames delivered in time
    dropped: int = 0  # frames that could not be ready in time: not drawn at all
    late: int = 0  # frames drawn for nothing
    failed: int = 0  # frames and pieces of speech that raised
    heard: int = 0  # pieces of speech


class Batcher:
    """Hears and draws for all sessions of one engine, which must run at 25 frames per second.

    It has no timer: it takes what waits, earliest due first, works, and looks again. A frame that
    nobody wants any more, or that could not be ready by its deadline, is dropped before it costs
    anything. In overload a lane that lost a frame goes before the others, so that all lose alike.
    An error fails the one piece of work that raised it.

    `start` gives it a thread; without one, `step` does the work of one batch. Lanes may be used
    from any thread.
    """

    def __init__(self, engine: Engine, *, clock: Clock | None = None) -> None:
        if engine.fps != FPS:
            raise OptionError(f"live sessions run at {FPS} fps; open the backend without fps.")
        self.engine = engine
        self.clock = clock or MonotonicClock()
        self.counts = BatcherCounts()
        self._changed = threading.Condition()
        self._lanes: list[Lane] = []
        self._closed = False
        self._thread: threading.Thread | None = None
        self._pace = 0.0  # ms that a batch takes, about
        self._reserve = 0.0  # see `reserve_ms`
        self._grown_ms = -RESERVE_EVERY_MS  # when it last grew

    @property
    def pace_ms(self) -> float:
        """About how long a batch takes at present, ms."""
        return self._pace

    @property
    def reserve_ms(self) -> int:
        """How much earlier than just in time work should be given at present.

        Grows when frames are late and shrinks slowly while they are not: alone, a session answers
        at once; beside others, it leaves them time for theirs.
        """
        return round(self._reserve)

    def start(self) -> None:
        """Work in a thread of its own from now on, until `close`."""
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="lipstream-batcher", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop after the batch in hand and wait for the thread. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def open(self) -> Lane:
        """A place for one session's work."""
        lane = Lane(self._changed, self._forget)
        with self._changed:
            self._lanes.append(lane)
        return lane

    def hearing(self, avatar: Avatar, sample_rate: int, generation: int) -> Hearing:
        """A fresh utterance; AudioError for an impossible rate."""
        return Hearing(self.engine.open_stream(avatar, generation=generation), sample_rate)

    def step(self) -> bool:
        """Hear what waits and draw one batch; whether there was anything to do."""
        with self._changed:
            pieces = self._pieces()
            frames = [] if pieces else self._frames()
        if pieces:
            self._listen(pieces)
            with self._changed:
                frames = self._frames()
        if frames:
            self._draw(frames)
        return bool(pieces or frames)

    def _run(self) -> None:
        with one_thread_per_picture():
            while True:
                with self._changed:
                    self._changed.wait_for(self._needed)
                    if self._closed:
                        return
                self.step()

    def _needed(self) -> bool:
        return self._closed or any(lane.drawings or lane.listenings for lane in self._lanes)

    def _forget(self, lane: Lane) -> None:
        with self._changed:
            if lane in self._lanes:
                self._lanes.remove(lane)
            lane.drawings.clear()
            lane.listenings.clear()

    def _pieces(self) -> list[tuple[Lane, Listening]]:
        """The next pieces of speech, at most `PIECES_AT_ONCE`; each lane's in their order."""
        heads = [
            (lane.listenings[0].due, n) for n, lane in enumerate(self._lanes) if lane.listenings
        ]
        heapq.heapify(heads)
        taken: list[tuple[Lane, Listening]] = []
        while heads and len(taken) < PIECES_AT_ONCE:
            _, n = heads[0]
            lane = self._lanes[n]
            piece = lane.listenings.popleft()
            if piece.wanted:
                taken.append((lane, piece))
            if lane.listenings:
                heapq.heapreplace(heads, (lane.listenings[0].due, n))
            else:
                heapq.heappop(heads)
        return taken

    def _frames(self) -> list[tuple[Lane, Drawing]]:
        """The next frames that can be ready in time, at most one batch of them."""
        ready_at = self.clock.now_ms() + self._pace
        heads: list[tuple[int, int]] = []
        for n, lane in enumerate(self._lanes):
            if lane.drawings and self._drop(lane, ready_at):
                heads.append((lane.drawings[0].due - lane.credit, n))
        heapq.heapify(heads)
        taken: list[tuple[Lane, Drawing]] = []
        room = self.engine.backend.batch
        while heads and len(taken) < room:
            _, n = heapq.heappop(heads)
            lane = self._lanes[n]
            # One lane after the other would be as right, but most often it goes on with the same.
            until = heads[0][0] + lane.credit if heads else math.inf
            while True:
                taken.append((lane, lane.drawings.popleft()))
                if not lane.drawings or not self._drop(lane, ready_at):
                    break
                due = lane.drawings[0].due
                if due > until or len(taken) >= room:
                    heapq.heappush(heads, (due - lane.credit, n))
                    break
        return taken

    def _drop(self, lane: Lane, ready_at: float) -> bool:
        """Drop the first frames of a lane that are stale or too late; whether any is left."""
        drawings = lane.drawings
        while drawings:
            first = drawings[0]
            if first.wanted:
                if first.due >= ready_at:
                    return True
                self.counts.dropped += 1
                lane.favour()
                self._grow()
                # A batch that once took long must not stop all work for ever.
                self._pace *= 0.9
            drawings.popleft()
            first.done = True
        return False

    def _listen(self, pieces: list[tuple[Lane, Listening]]) -> None:
        """Hear some pieces; what speech encoders have to do is done in one go."""
        heard = []
        for lane, piece in pieces:
            try:
                sound, segments = piece.hearing.listen(piece.samples, piece.last)
            except Exception as error:  # whatever a backend raises concerns this utterance alone
                self._fail(lane, piece, error)
            else:
                heard.append((lane, piece, sound, segments))
        answers = self._encode([segment for *_, segments in heard for segment in segments])
        for lane, piece, sound, segments in heard:
            mouths: list[Floats] = []
            for answer in [answers.pop(0) for _ in segments]:
                if isinstance(answer, Exception):
                    self._fail(lane, piece, answer)
                    break
                mouths.extend(answer)
            else:
                piece.heard = Heard(sound, tuple(mouths))
                self.counts.heard += 1
                _finish(piece)

    def _encode(self, segments: list[Segment]) -> list[Floats | Exception]:
        """The conditionings of each segment, or why there are none."""
        if not segments:
            return []
        encode = self.engine.backend.encoder.encode
        return _each([segment.context for segment in segments], encode)

    def _draw(self, frames: list[tuple[Lane, Drawing]]) -> None:
        before = self.clock.now_ms()
        render = self.engine.backend.renderer.render
        pictures = _each([drawing.request for _, drawing in frames], render)
        now = self.clock.now_ms()
        self._pace += (now - before - self._pace) / 8
        self.counts.batches += 1
        drawn = 0
        for (lane, drawing), picture in zip(frames, pictures, strict=True):
            if isinstance(picture, Exception):
                self._fail(lane, drawing, picture)
                continue
            drawing.picture = picture
            drawing.done = True
            if drawing.wake is not None:
                drawing.wake()
            if drawing.wanted:
                drawn += 1
                if lane.credit:
                    lane.settle()
            elif drawing.due <= now:
                self.counts.late += 1
                lane.favour()
                self._grow()
        self.counts.drawn += drawn
        self._reserve = max(self._reserve - drawn * RESERVE_DECAY_MS, 0.0)

    def _grow(self) -> None:
        """A frame was late. Several at a time have one cause."""
        now = self.clock.now_ms()
        if now - self._grown_ms >= RESERVE_EVERY_MS:
            self._grown_ms = now
            self._reserve = min(self._reserve + RESERVE_STEP_MS, MOST_RESERVE_MS)

    def _fail(self, lane: Lane, work: Drawing | Listening, error: Exception) -> None:
        self.counts.failed += 1
        if not lane.complained:
            lane.complained = True
            _log.error("a live session's work failed: %s", error, exc_info=error)
        work.error = error
        _finish(work)


def _finish(work: Drawing | Listening) -> None:
    work.done = True
    if work.wake is not None:
        work.wake()


def _each(
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
    return [result for item in items for result in _each([item], work)]
