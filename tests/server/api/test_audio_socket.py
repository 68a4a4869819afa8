"""Speech by WebSocket: every byte arrives once, whatever else a client does."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import Any

import numpy as np
import pytest

from lipstream.server.api.audio_socket import MAX_EVENTS, MAX_MESSAGE_BYTES, RATES
from lipstream.server.sessions.session import ServerSession
from lipstream.server.settings import ServeSettings
from tests.server.fake_runtime import FakeEvent
from tests.server.house import House, in_house, settle, until

SECOND = 24_000  # samples at the usual rate


def counting(count: int, start: int = 0) -> bytes:
    """PCM whose every sample says which one it is."""
    return np.arange(start, start + count).astype("<i2").tobytes()


@pytest.mark.parametrize("rate", RATES)
def test_all_rates_are_taken(rate: int) -> None:
    async def test(house: House) -> None:
        socket = await house.listen(await house.open(), rate)
        await socket.say(counting(rate // 10))
        await socket.leave()
        assert set(house.runtime.sessions[0].rates) == {rate}

    in_house(test)


@pytest.mark.parametrize("rate", ["", "0", "-1", "24001", "22050.0", "high", "9" * 5000])
def test_other_rates_are_refused(rate: str) -> None:
    async def test(house: House) -> None:
        made = await house.open()
        socket = house.socket(f"{made['audio_url']}?sample_rate={rate}")
        assert not await socket.open()
        assert socket.status == 422
        assert "use 8000, 16000" in json.loads(socket.body)["error"]["message"]

    in_house(test)


def test_a_session_that_is_not_there_is_refused() -> None:
    async def test(house: House) -> None:
        socket = house.socket(f"/v1/sessions/{'0' * 32}/audio")
        assert not await socket.open()
        assert socket.status == 404
        assert json.loads(socket.body)["error"]["code"] == "not_found"

    in_house(test)


@pytest.mark.parametrize("size", [1, 3, 7, 4801, 65_535])
def test_samples_may_be_cut_anywhere(size: int) -> None:
    async def test(house: House) -> None:
        pcm = counting(min(20_000, 500 * size))
        socket = await house.listen(await house.open())
        for start in range(0, len(pcm), size):
            await socket.say(pcm[start : start + size])
            await socket.say(b"")
        await socket.say({"type": "end"})
        await socket.leave()
        session = house.runtime.sessions[0]
        assert session.samples == list(range(len(pcm) // 2)) and session.ends == 1

    in_house(test)


def test_half_a_sample_at_the_end_is_left_out() -> None:
    async def test(house: House) -> None:
        socket = await house.listen(await house.open())
        await socket.say(counting(2) + b"\x7f")
        await socket.say({"type": "end"})
        await socket.say(counting(2, 10))
        await socket.leave()
        session = house.runtime.sessions[0]
        assert session.samples == [0, 1, 10, 11] and session.ends == 2

    in_house(test)


@pytest.mark.parametrize("said", [True, False])
def test_a_socket_that_closes_in_mid_sentence_ends_the_sentence(said: bool) -> None:
    async def test(house: House) -> None:
        socket = await house.listen(await house.open())
        if said:
            await socket.say(counting(SECOND))
        await socket.leave()
        assert house.runtime.sessions[0].ends == said
        assert len(house.manager) == 1

    in_house(test)


def test_events_are_told() -> None:
    async def test(house: House) -> None:
        socket = await house.listen(await house.open())
        session = house.runtime.sessions[0]
        session.tell(FakeEvent("started", 3))
        session.tell(FakeEvent("interrupted", 3, 240))
        session.tell(FakeEvent("ended", 4, 900))
        session.tell(FakeEvent("failed", 5, 40))
        assert await socket.hear() == {"type": "started", "utterance": 3, "played_ms": 0}
        assert await socket.hear() == {"type": "interrupted", "utterance": 3, "played_ms": 240}
        assert await socket.hear() == {"type": "ended", "utterance": 4, "played_ms": 900}
        failed = await socket.hear()
        assert (failed["type"], failed["code"], failed["utterance"]) == ("error", "failed", 5)
        await socket.leave()

    in_house(test)


def test_how_much_waits_is_told_a_few_times_a_second() -> None:
    async def test(house: House) -> None:
        socket = await house.listen(await house.open())
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(50):
            await socket.say(counting(SECOND // 10))
        events = [await socket.next()]
        while events[-1]["ms"] < 5_000:
            events.append(await socket.next())
        assert {event["type"] for event in events} == {"buffered"}
        assert len(events) <= 1 + (loop.time() - began) / 0.25
        await socket.leave()

    in_house(test)


def test_an_interrupt_is_always_answered() -> None:
    async def test(house: House) -> None:
        socket = await house.listen(await house.open())
        await socket.say(counting(SECOND) + b"\x01")
        await socket.say({"type": "interrupt"})
        assert await socket.hear() == {"type": "interrupted", "played_ms": 120}
        await socket.say(counting(2))
        await socket.leave()
        session = house.runtime.sessions[0]
        assert session.counts.interrupts == 1
        assert session.samples[-2:] == [0, 1]  # the odd byte went with the rest

    in_house(test)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "{",
        "[]",
        "null",
        "1e400",
        '"end"',
        "{}",
        '{"type": null}',
        '{"type": "stop"}',
        '{"type": ["end"]}',
        '{"type": {"type": "end"}}',
        "[" * 30_000,
        '{"type": "end"',
        "\x00",
        "NaN",
    ],
)
def test_senseless_messages_are_told_and_forgiven(text: str) -> None:
    async def test(house: House) -> None:
        socket = await house.listen(await house.open())
        await socket.say(text)
        event = await socket.hear()
        assert (event["type"], event["code"]) == ("error", "bad_message")
        await socket.say(counting(10))
        await socket.say({"type": "end"})
        await socket.leave()
        assert house.runtime.sessions[0].ends == 1

    in_house(test)


def test_patience_ends() -> None:
    async def test(house: House) -> None:
        socket = await house.listen(await house.open())
        for _ in range(21):
            await socket.say("?")
        while (event := await socket.hear())["type"] == "error":
            pass
        assert event == {"type": "close", "code": 1008}
        await socket.leave()

    in_house(test)


@pytest.mark.parametrize(
    "message", [b"\0" * (MAX_MESSAGE_BYTES + 1), "x" * (MAX_MESSAGE_BYTES + 1)]
)
def test_huge_messages_close_the_socket(message: bytes | str) -> None:
    async def test(house: House) -> None:
        socket = await house.listen(await house.open())
        await socket.say(message)
        assert await socket.hear() == {"type": "close", "code": 1009}
        await socket.leave()
        assert not house.runtime.sessions[0].samples

    in_house(test)


def test_a_refused_push_is_told() -> None:
    async def test(house: House) -> None:
        socket = await house.listen(await house.open())
        session = house.runtime.sessions[0]
        session.room = nothing  # type: ignore[method-assign]
        session.buffered_ms = 60_000
        await socket.say(counting(SECOND))
        event = await socket.hear()
        assert (event["type"], event["code"]) == ("error", "bad_audio")
        await socket.leave()

    async def nothing(ms: int) -> None:
        pass

    in_house(test)


def test_the_newest_socket_of_a_session_replaces_the_one_before() -> None:
    async def test(house: House) -> None:
        made = await house.open()
        first = await house.listen(made)
        await first.say(counting(10))
        second = await house.listen(made)
        assert await first.hear() == {"type": "close", "code": 1008}
        await first.leave()
        assert house.runtime.sessions[0].ends == 1
        await second.say(counting(10))
        await second.leave()
        assert len(house.runtime.sessions[0].samples) == 20

    in_house(test)


def test_the_end_of_a_session_ends_its_socket() -> None:
    async def test(house: House) -> None:
        made = await house.open()
        socket = await house.listen(made)
        await socket.say(counting(10))
        await house.http.delete(f"/v1/sessions/{made['id']}")
        assert await socket.hear() == {"type": "close", "code": 1001}
        await socket.leave()

    in_house(test)


def test_a_flood_waits_at_the_door_and_hurts_nobody() -> None:
    """A sender at any speed: 60 s wait and not a message more is read until some was played."""

    async def test(house: House) -> None:
        made, neighbour = await house.open(), await house.open()
        flood, calm = await house.listen(made), await house.listen(neighbour)
        chunk = counting(MAX_MESSAGE_BYTES // 2)  # 1.4 s
        flooding = asyncio.create_task(keep_saying(flood, chunk, 1_000))
        await until(lambda: house.runtime.sessions[0].buffered_ms > 58_000)
        await settle(200)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            await calm.say(counting(960))
        await settle(200)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        session = house.runtime.sessions[0]
        assert session.peak_ms <= 60_000 and len(session.samples) == 43 * len(chunk) // 2
        assert grown < 2 << 20
        assert house.runtime.sessions[1].buffered_ms == 800
        session.play(3_000)
        await settle(200)
        assert session.peak_ms <= 60_000 and len(session.samples) == 46 * len(chunk) // 2
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        await house.http.post(f"/v1/sessions/{made['id']}/interrupt")  # the way past the flood
        await flood.leave()
        await calm.leave()

    in_house(test)


async def keep_saying(socket: Any, chunk: bytes, times: int) -> None:
    for _ in range(times):
        await socket.say(chunk)


def test_who_does_not_read_is_closed() -> None:
    async def test(house: House) -> None:
        socket = await house.listen(await house.open())
        socket.stop_reading()
        for number in range(MAX_EVENTS + 2):
            house.runtime.sessions[0].tell(FakeEvent("started", number))
            await settle(2)
        socket._read.set()
        while (event := await socket.hear())["type"] != "close":
            pass
        assert event["code"] == 1008
        await socket.leave()

    in_house(test)


def test_the_token_comes_as_a_subprotocol() -> None:
    async def test(house: House) -> None:
        house.http.headers["Authorization"] = "Bearer right-token"
        made = await house.open()
        socket = house.socket(made["audio_url"])
        socket.protocols = ("lipstream", "bearer.right-token")
        assert await socket.open()
        assert socket.accepted == "bearer.right-token"
        await socket.leave()

    in_house(test, ServeSettings(token="right-token", rate=0))


def test_speaking_keeps_a_session() -> None:
    async def test(house: House) -> None:
        made = await house.open()
        await house.connect(made)
        socket = await house.listen(made)
        seat: ServerSession = house.seat(made)
        await house.pass_time(50)
        before = seat.deadline_ms
        await socket.say(counting(10))
        await socket.say({"type": "end"})
        await socket.leave()
        house.runtime.sessions[0].play(1_000)
        assert seat.deadline_ms > before

    in_house(test, ServeSettings(rate=0, idle_timeout_s=60))


def test_no_message_at_all_breaks_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of texts and bytes of chance; what is said afterwards still arrives."""
    monkeypatch.setattr("lipstream.server.api.audio_socket.PATIENCE", 10**9)
    random = np.random.default_rng(3)
    pieces = [
        '{"type":',
        '"end"',
        '"interrupt"',
        "}",
        "[",
        "]",
        "{",
        "null",
        "1e999",
        '"',
        "\\u",
        ",",
    ]

    def text() -> str:
        if random.random() < 0.3:
            return bytes(random.integers(1, 255, 40, np.uint8)).decode("latin-1")
        return "".join(random.choice(pieces, int(random.integers(0, 9))))

    async def test(house: House) -> None:
        socket = await house.listen(await house.open())
        for _ in range(400):
            odd = bytes(random.integers(0, 255, int(random.integers(0, 99)), np.uint8))
            await socket.say(odd if random.random() < 0.5 else text())
            await settle(3)
        await socket.say({"type": "end"})
        await settle()
        before = len(house.runtime.sessions[0].samples)
        await socket.say(counting(500))
        await socket.leave()
        assert house.runtime.sessions[0].samples[before:] == list(range(500))

    in_house(test)
