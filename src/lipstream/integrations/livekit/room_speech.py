"""The speech of an agent as it comes through a room: one stream of bytes for each segment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import dataclass

from livekit import rtc

from lipstream.integrations.livekit.segments import MAX_WAITING_S, Segment, SegmentReceiver
from lipstream.live.cancellation import cancel_until_ended

# The topics and calls of `livekit.agents.voice.avatar.DataStreamAudioOutput`, the other side.
TOPIC = "lk.audio_stream"
CLEAR, STARTED, FINISHED = "lk.clear_buffer", "lk.playback_started", "lk.playback_finished"
MAX_STREAMS = 64  # that are read at once; more are not spoken
MAX_IDLE_S, LOOK_S = 10.0, 1.0  # a stream that brings nothing for so long has lost its end
MAX_TRIES, RETRY_S = 3, 0.1  # of telling the agent
LAST_WORDS_S = 1.0  # for what it is still to be told at the end
MIN_RATE, MAX_RATE, MAX_CHANNELS = 8_000, 192_000, 8

log = logging.getLogger("lipstream.livekit")


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """The format of a stream of 16-bit samples."""

    sample_rate: int  # Hz
    channels: int

    @classmethod
    def of(cls, attributes: dict[str, str] | None) -> StreamFormat | None:
        """The format that a stream's attributes tell; None where they tell none that is known."""
        told = attributes or {}
        try:
            rate, channels = int(told["sample_rate"]), int(told["num_channels"])
        except (KeyError, ValueError):
            return None
        possible = MIN_RATE <= rate <= MAX_RATE and 1 <= channels <= MAX_CHANNELS
        return cls(rate, channels) if possible else None


class RoomSpeechReceiver(SegmentReceiver):
    """Receives the segments of one participant of a room; nobody else is obeyed.

    LiveKit's own `DataStreamAudioReceiver` keeps the handlers of all rooms of a process by the name
    of the agent, so that an interrupt in one room stops the speech in another whose agent is called
    alike. This one knows its own room only.
    """

    def __init__(self, room: rtc.Room, agent: str) -> None:
        super().__init__()
        self._room, self._agent = room, agent
        self._streams: set[asyncio.Task[None]] = set()
        self._last: Segment | None = None  # the segment whose stream came last
        self._told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._telling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen from now on; the room must be connected."""
        self._room.local_participant.register_rpc_method(CLEAR, self._on_clear)
        self._room.register_byte_stream_handler(TOPIC, self._on_stream)
        self._telling = asyncio.create_task(self._tell())

    def tell_started(self) -> None:
        self._told.put_nowait((STARTED, ""))

    def tell_finished(self, position_s: float, interrupted: bool) -> None:
        payload = {"playback_position": position_s, "interrupted": interrupted}
        self._told.put_nowait((FINISHED, json.dumps(payload)))

    async def aclose(self) -> None:
        """Stop listening. What has not finished is told of first, where the room still is."""
        await super().aclose()
        await cancel_until_ended([*self._streams])
        if self._telling is not None:
            if self._room.isconnected():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._told.join(), LAST_WORDS_S)
            await cancel_until_ended([self._telling])

    def _on_clear(self, call: rtc.RpcInvocationData) -> str:
        if call.caller_identity != self._agent:
            return "reject"
        self.clear_segments()
        return "ok"

    def _on_stream(self, reader: rtc.ByteStreamReader, sender: str) -> None:
        if sender != self._agent:
            reader.close()
            return
        if len(self._streams) >= MAX_STREAMS:
            log.warning("an agent sends too much at once; some of it is not spoken")
            reader.close()
            self.tell_finished(0.0, True)
            return
        segment = self._last = self.open_segment()
        task = asyncio.create_task(self._read(reader, segment))
        self._streams.add(task)
        task.add_done_callback(self._streams.discard)

    async def _read(self, reader: rtc.ByteStreamReader, segment: Segment) -> None:
        """Push the samples of a stream to its segment, to the end of either."""
        try:
            told = StreamFormat.of(reader.info.attributes)
            if told is None:
                log.warning("speech of an unknown format is not spoken")
                return
            rest, idle_s = b"", 0.0
            while not segment.cleared:
                try:
                    data = rest + await asyncio.wait_for(reader.__anext__(), LOOK_S)
                except asyncio.TimeoutError:
                    # Where a newer stream has come, too: an agent sends one at a time.
                    if (idle_s := idle_s + LOOK_S) >= MAX_IDLE_S or segment is not self._last:
                        return
                    continue
                except (StopAsyncIteration, rtc.StreamError):
                    return
                idle_s = 0.0
                if self.waiting_s > MAX_WAITING_S:
                    log.warning("an agent says more than waits; the rest is cut off")
                    return
                whole = len(data) - len(data) % (2 * told.channels)
                data, rest = data[:whole], data[whole:]
                length = whole // (2 * told.channels)
                segment.push(rtc.AudioFrame(data, told.sample_rate, told.channels, length))
                self.changed()
        finally:
            reader.close()
            segment.complete = True
            self.changed()

    async def _tell(self) -> None:
        """Call the agent for each start and end, in their order."""
        while True:
            method, payload = await self._told.get()
            try:
                await self._call(method, payload)
            finally:
                self._told.task_done()

    async def _call(self, method: str, payload: str) -> None:
        for left in reversed(range(MAX_TRIES)):
            try:
                await self._room.local_participant.perform_rpc(
                    destination_identity=self._agent, method=method, payload=payload
                )
                return
            except rtc.RpcError as error:
                # An agent that does not want to know of starts has no such method.
                if error.code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD and method == STARTED:
                    return
                if not left:
                    log.warning("an agent could not be told of its speech: %s", error.code)
                    return
            await asyncio.sleep(RETRY_S)
