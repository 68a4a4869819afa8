"""One thread that works for all live sessions of a backend, earliest deadline first."""

from __future__ import annotations

import heapq
import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lipstream.avatar.avatar import Avatar
from lipstream.engine import Engine
from lipstream.errors import OptionError
from lipstream.live.clock import Clock, MonotonicClock
from lipstream.live.scheduler.headroom import Reserve
from lipstream.live.scheduler.isolation import Begun, each
from lipstream.live.scheduler.jobs import Heard, Hearing
from lipstream.live.scheduler.session_queue import Drawing, Lane, Listening, favour, next_pieces
from lipstream.rendering.base import PipelinedRenderer, pipelined
from lipstream.rendering.opencv_threads import one_thread_per_picture
from lipstream.stream import Segment
from lipstream.timeline import FPS

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Picture

PIECES_AT_ONCE = 16  # of speech, heard between two batches of frames
BELIEVED_MS = 120  # of a batch, at most, unless batches take half as long already

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


@dataclass(frozen=True, slots=True, eq=False)
class DrawnBatch:
    """Frames that the renderer has drawn in one go; those without a picture have failed."""

    frames: Sequence[tuple[Lane, Drawing]]
    began_ms: int  # when the renderer was given them
    done_ms: int  # when it gave them back; a batch before it may have been waited for


class Batcher:
    """Hears and draws for all sessions of one engine, which must run at 25 frames per second.

    It has no timer: it takes what waits, earliest due first, works, and looks again. A frame that
    nobody wants any more, or that could not be ready by its deadline, is dropped before it costs
    anything. In overload a lane that lost a frame goes before the others, so that all lose alike.
    An error fails the one piece of work that raised it.

    With a renderer that is pipelined the next batch is begun before the last one is waited for:
    its device always has something to do, and hearing costs it nothing. Never more than one batch
    is pending, so that what is urgent waits for two at most.

    `start` gives it a thread; without one, `step` does the work of one batch. Lanes may be used
    from any thread. `watch` is told of each batch of frames, on the working thread.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Clock | None = None,
        watch: Callable[[DrawnBatch], None] | None = None,
    ) -> None:
        if engine.fps != FPS:
            raise OptionError(f"live sessions run at {FPS} fps; open the backend without fps.")
        self.engine = engine
        self.clock = clock or MonotonicClock()
        self.counts = BatcherCounts()
        self._watch = watch
        self._changed = threading.Condition()
        self._lanes: list[Lane] = []
        self._closed = False
        self._thread: threading.Thread | None = None
        self._pipelined = pipelined(engine.backend.renderer)
        self._begun: Begun | None = None  # used by the working thread alone
        self._free_ms = 0  # when the last batch was delivered
        self._pace: float = 0.0  # ms that a batch with speech takes, about
        self._spoke = False  # a batch with speech has been drawn
        self._reserve = Reserve()

    @property
    def drawing_ms(self) -> int:
        """How soon a frame can be there when it is asked for: its batch, and those before it."""
        before = 1 if self._pipelined is None else 2
        return round((before + 1) * self._pace)

    @property
    def reserve_ms(self) -> int:
        """How much earlier than just in time work should be given at present; see `Reserve`."""
        return self._reserve.ms

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
        if self._thread is None:
            self._settle()
        elif self._thread is not threading.current_thread():
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
        if self._pipelined is not None:
            return self._step_pipelined(self._pipelined)
        with self._changed:
            pieces = next_pieces(self._lanes, PIECES_AT_ONCE)
            frames = [] if pieces else self._frames()
        if pieces:
            self._listen(pieces)
            with self._changed:
                frames = self._frames()
        if frames:
            self._draw(frames)
        return bool(pieces or frames)

    def _step_pipelined(self, renderer: PipelinedRenderer) -> bool:
        """Begin one batch, hear what waits, then deliver the batch that was begun before.

        In this order the device has its next batch before it ends the last, and speech is heard
        while it draws.
        """
        with self._changed:
            pieces, frames = next_pieces(self._lanes, PIECES_AT_ONCE), self._frames()
        earlier, self._begun = self._begun, None
        if frames:
            self._begun = Begun.begin(renderer, frames, self.clock.now_ms())
        if pieces:
            self._listen(pieces)
        if earlier is not None:
            self._deliver(earlier.frames, earlier.finish(renderer), earlier.began_ms)
        return bool(pieces or frames or earlier)

    def _run(self) -> None:
        with one_thread_per_picture():
            while True:
                with self._changed:
                    self._changed.wait_for(self._needed)
                    if self._closed:
                        break
                self.step()
            self._settle()

    def _settle(self) -> None:
        """Deliver what is pending."""
        begun, self._begun = self._begun, None
        if begun is not None and self._pipelined is not None:
            self._deliver(begun.frames, begun.finish(self._pipelined), begun.began_ms)

    def _needed(self) -> bool:
        if self._closed or self._begun is not None:
            return True
        return any(lane.drawings or lane.listenings for lane in self._lanes)

    def _ready_ms(self) -> float:
        """When a batch that is begun now could be ready, about."""
        now: float = self.clock.now_ms()
        if self._begun is not None:
            now = max(now, max(self._begun.began_ms, self._free_ms) + self._pace)
        return now + self._pace

    def _forget(self, lane: Lane) -> None:
        with self._changed:
            if lane in self._lanes:
                self._lanes.remove(lane)
            lane.drawings.clear()
            lane.listenings.clear()

    def _frames(self) -> list[tuple[Lane, Drawing]]:
        """The next frames that can be ready in time, at most one batch of them."""
        ready_at = self._ready_ms()
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
                favour(lane, self._lanes)
                self._reserve.grow(self.clock.now_ms())
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
        return each([segment.context for segment in segments], encode)

    def _draw(self, frames: list[tuple[Lane, Drawing]]) -> None:
        began = self.clock.now_ms()
        render = self.engine.backend.renderer.render
        self._deliver(frames, each([drawing.request for _, drawing in frames], render), began)

    def _deliver(
        self,
        frames: list[tuple[Lane, Drawing]],
        pictures: list[Picture | Exception],
        began_ms: int,
    ) -> None:
        """Hand over what became of a batch that was begun at `began_ms`."""
        now = self.clock.now_ms()
        # A batch that was begun behind another one has waited for it first.
        self._learn(frames, now - max(began_ms, self._free_ms))
        self._free_ms = now
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
                favour(lane, self._lanes)
                self._reserve.grow(self.clock.now_ms())
        self.counts.drawn += drawn
        self._reserve.shrink(drawn)
        if self._watch is not None:
            self._watch(DrawnBatch(frames, began_ms, now))

    def _learn(self, frames: list[tuple[Lane, Drawing]], took_ms: int) -> None:
        """Frames at rest cost a network nothing: they do not tell how soon speech can be drawn."""
        speaks = any(drawing.request.conditioning is not None for _, drawing in frames)
        # A single slow batch says little, and would be believed for as long as nobody speaks.
        believed = min(took_ms, max(BELIEVED_MS, 2 * self._pace))
        if speaks and not self._spoke:
            self._spoke, self._pace = True, believed
        elif speaks or not self._spoke:
            self._pace += (believed - self._pace) / 8

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
