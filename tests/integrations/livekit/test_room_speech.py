"""Speech as it comes through a room, from a room that the test plays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("livekit.agents", reason="scripts/install --livekit brings LiveKit")

from livekit import rtc
from livekit.agents.voice.avatar import AudioSegmentEnd

from lipstream.integrations.livekit import room_speech
from lipstream.integrations.livekit.room_speech import CLEAR, FINISHED, STARTED, RoomSpeechReceiver
from tests.integrations.livekit.speech import RATE, tone

pytestmark = pytest.mark.agents

FORMAT = {"sample_rate": str(RATE), "num_channels": "1"}


class Stream:
    """The reader of a stream of bytes, as the library gives it."""

    def __init__(self, attributes: dict[str, str] | None = None) -> None:
        self.info = SimpleNamespace(attributes=FORMAT if attributes is None else attributes)
        self.closed = False
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, *chunks: bytes, end: bool = True) -> Stream:
        for chunk in chunks:
            self._chunks.put_nowait(chunk)
        if end:
            self._chunks.put_nowait(None)
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._chunks.get()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    def close(self) -> None:
        self.closed = True


class Room:
    """A room in which the agent is called "agent", and its participant at once."""

    def __init__(self) -> None:
        self.local_participant = self
        self.calls: list[tuple[str, str]] = []  # to the agent
        self.failures: list[Any] = []  # codes of the next calls
        self.methods: dict[str, Callable[[Any], str]] = {}
        self.on_stream: Callable[[Any, str], None] = lambda reader, sender: None

    def register_rpc_method(self, method: str, handler: Callable[[Any], str]) -> None:
        self.methods[method] = handler

    def register_byte_stream_handler(self, topic: str, handler: Callable[[Any, str], None]) -> None:
        assert topic == "lk.audio_stream"
        self.on_stream = handler

    async def perform_rpc(self, *, destination_identity: str, method: str, payload: str) -> None:
        assert destination_identity == "agent"
        self.calls.append((method, payload))
        if self.failures:
            raise rtc.RpcError(self.failures.pop(0), "no")

    def isconnected(self) -> bool:
        return True

    def clear(self, caller: str = "agent") -> str:
        return self.methods[CLEAR](SimpleNamespace(caller_identity=caller))


def run(test: Callable[[Room, RoomSpeechReceiver], Awaitable[None]]) -> Room:
    async def with_room() -> Room:
        room = Room()
        receiver = RoomSpeechReceiver(room, "agent")
        await receiver.start()
        try:
            await asyncio.wait_for(test(room, receiver), 5)
        finally:
            await receiver.aclose()
        return room

    return asyncio.run(with_room())


async def segment(receiver: RoomSpeechReceiver) -> bytes:
    """All sound up to the next end, which is told as played."""
    data = b""
    while not isinstance(frame := await receiver.__anext__(), AudioSegmentEnd):
        data += bytes(frame.data)
    receiver.notify_playback_finished(len(data) / 2 / RATE, False)
    return data


def test_streams_are_segments_however_they_are_cut() -> None:
    first, second = tone(0.3).tobytes(), tone(0.1).tobytes()

    async def pair(room: Room, receiver: RoomSpeechReceiver) -> None:
        pieces = [first[start : start + 1_001] for start in range(0, len(first), 1_001)]
        room.on_stream(Stream().send(*pieces), "agent")
        room.on_stream(Stream().send(second), "agent")
        assert await segment(receiver) == first
        assert await segment(receiver) == second

    room = run(pair)
    told = [json.loads(payload) for _, payload in room.calls]
    assert told == [
        {"playback_position": 0.3, "interrupted": False},
        {"playback_position": 0.1, "interrupted": False},
    ]


def test_only_the_agent_is_obeyed() -> None:
    async def foreign(room: Room, receiver: RoomSpeechReceiver) -> None:
        stream = Stream().send(b"\0\0")
        room.on_stream(stream, "somebody")
        assert stream.closed and receiver.waiting_s == 0
        cleared: list[bool] = []
        receiver.on("clear_buffer", lambda: cleared.append(True))
        room.on_stream(Stream().send(tone(0.1).tobytes()), "agent")
        await receiver.__anext__()
        assert room.clear("somebody") == "reject" and not cleared
        assert room.clear() == "ok" and cleared

    run(foreign)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"sample_rate": "fast", "num_channels": "1"},
        {"sample_rate": "1", "num_channels": "1"},
        {"sample_rate": "999999999", "num_channels": "1"},
        {"sample_rate": "24000", "num_channels": "0"},
        {"sample_rate": "24000", "num_channels": "99"},
    ],
)
def test_an_unknown_format_is_a_segment_without_sound(attributes: dict[str, str]) -> None:
    async def strange(room: Room, receiver: RoomSpeechReceiver) -> None:
        room.on_stream(Stream(attributes).send(b"\0" * 100), "agent")
        sound = tone(0.05).tobytes()
        room.on_stream(Stream().send(sound), "agent")
        assert await segment(receiver) == sound

    room = run(strange)
    assert [json.loads(payload)["playback_position"] for _, payload in room.calls] == [0.0, 0.05]


def test_a_stream_whose_end_was_lost_is_over_when_the_next_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room_speech, "LOOK_S", 0.02)

    async def lost(room: Room, receiver: RoomSpeechReceiver) -> None:
        first, second = tone(0.2).tobytes(), tone(0.1).tobytes()
        room.on_stream(Stream().send(first, end=False), "agent")
        room.on_stream(Stream().send(second), "agent")
        assert await segment(receiver) == first  # all of it, although it was read later
        assert await segment(receiver) == second

    run(lost)


def test_what_comes_after_an_interrupt_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def late(room: Room, receiver: RoomSpeechReceiver) -> None:
        stream = Stream().send(tone(0.1).tobytes(), end=False)
        room.on_stream(stream, "agent")
        await receiver.__anext__()
        receiver.notify_playback_started()
        room.clear()
        stream.send(tone(0.1).tobytes())
        receiver.notify_playback_finished(0.04, True)
        after = tone(0.05).tobytes()
        room.on_stream(Stream().send(after), "agent")
        assert await segment(receiver) == after

    room = run(late)
    assert [method for method, _ in room.calls] == [STARTED, FINISHED, FINISHED]


def test_more_than_may_wait_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_speech, "MAX_WAITING_S", 0.5)

    async def flood(room: Room, receiver: RoomSpeechReceiver) -> None:
        stream = Stream().send(*[tone(0.3).tobytes()] * 10)
        room.on_stream(stream, "agent")
        while not stream.closed:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert len(await segment(receiver)) == 2 * len(tone(0.3).tobytes())

    run(flood)


def test_more_streams_at_once_than_are_read_are_told_as_not_spoken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room_speech, "MAX_STREAMS", 2)

    async def many(room: Room, receiver: RoomSpeechReceiver) -> None:
        streams = [Stream().send(b"", end=False) for _ in range(3)]
        for stream in streams:
            room.on_stream(stream, "agent")
        assert [stream.closed for stream in streams] == [False, False, True]

    assert len([method for method, _ in run(many).calls if method == FINISHED]) == 3


def test_an_agent_that_cannot_be_told_is_tried_again() -> None:
    unsupported = rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD
    timeout = rtc.RpcError.ErrorCode.RESPONSE_TIMEOUT

    async def deaf(room: Room, receiver: RoomSpeechReceiver) -> None:
        room.failures = [unsupported, timeout]
        room.on_stream(Stream().send(tone(0.05).tobytes()), "agent")
        await receiver.__anext__()
        receiver.notify_playback_started()  # which it does not want to know
        receiver.notify_playback_finished(0.05, False)
        while len(room.calls) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert [method for method, _ in run(deaf).calls] == [STARTED, FINISHED, FINISHED]
