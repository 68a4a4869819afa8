"""A session by the dialect's socket: how it begins, what it says, and how it ends."""

from __future__ import annotations

import json

import pytest

from lipstream.server.dialects.simli import session_socket
from tests.server.app_client import AppClient, run_client, settle
from tests.server.dialects.simli.conversation import OFFERED, call, gone, start
from tests.server.fake_runtime import session_event


def test_speech_is_acknowledged_and_heard() -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        await socket.send(b"\1\0" * 1600)
        assert await socket.receive_text() == "ACK"
        session.emit(session_event("started"))
        assert await socket.receive_text() == "SPEAK"
        session.emit(session_event("ended"))
        assert await socket.receive_text() == "SILENT"
        await socket.leave()
        assert await gone(client)

    run_client(test)


def test_what_never_was_heard_does_not_fall_silent() -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        session.emit(session_event("interrupted"))
        session.emit(session_event("started", 2))
        assert await socket.receive_text() == "SPEAK"
        await socket.leave()

    run_client(test)


@pytest.mark.parametrize("done", [b"DONE", "DONE"])
def test_done_ends_the_session(done: bytes | str) -> None:
    async def test(client: AppClient) -> None:
        socket, _ = await start(client)
        await socket.send(done)
        assert [await socket.receive_text(), await socket.receive_text()] == ["STOP", ""]
        assert await gone(client) and client.runtime.connections[-1].closed
        await socket.leave()

    run_client(test)


def test_a_first_message_that_is_no_offer_is_an_error() -> None:
    no_offer = "the first message must be an offer"
    cases: dict[str | bytes, str] = {
        "SKIP": no_offer,
        "[]": no_offer,
        '{"type": "answer", "sdp": "v=0"}': no_offer,
        '{"type": "offer", "sdp": 1}': no_offer,
        b"\0\0": no_offer,
        '{"type": "offer", "sdp": "x"}': "the offer is no SDP",
    }

    async def test(client: AppClient) -> None:
        for first, said in cases.items():
            socket = await call(client)
            await socket.send(first)
            error = await socket.receive_text()
            assert error.startswith("ERROR: ") and said in error, first
            assert [await socket.receive_text(), await socket.receive_text()] == ["STOP", ""]
            assert await gone(client)
            await socket.leave()

    run_client(test)


def test_an_offer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_socket, "OFFER_S", 0.01)

    async def test(client: AppClient) -> None:
        socket = await call(client)
        assert (await socket.receive_text()).startswith("ERROR: no offer came")
        await socket.leave()

    run_client(test)


@pytest.mark.parametrize(
    ("limit", "reason"), [({"maxSessionLength": 15}, "MAX"), ({"maxIdleTime": 10}, "IDLE")]
)
def test_the_client_s_own_limits_hold(limit: dict[str, int], reason: str) -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client, **limit)
        for _ in range(18):
            await client.pass_time(0.5)
        session.emit(session_event("started"))
        assert await socket.receive_text() == "SPEAK"
        for _ in range(21):
            await client.pass_time(0.5)
        if reason == "IDLE":
            assert not await gone(client)  # it speaks
            session.emit(session_event("ended"))
            assert await socket.receive_text() == "SILENT"
            for _ in range(21):
                await client.pass_time(0.5)
        said = [await socket.receive_text() for _ in range(3)]
        assert said == [f"CLOSING REASON: {reason}", "STOP", ""]
        assert await gone(client)
        await socket.leave()

    run_client(test)


def test_the_end_of_the_session_is_told() -> None:
    async def test(client: AppClient) -> None:
        socket, _ = await start(client)
        (session,) = client.manager.open_sessions
        await client.manager.close(session, "closed")
        said = [await socket.receive_text() for _ in range(3)]
        assert said == ["CLOSING REASON: SESSION ENDED", "STOP", ""]
        await socket.leave()

    run_client(test)


def test_a_session_without_a_viewer_ends() -> None:
    async def test(client: AppClient) -> None:
        socket = await call(client)
        await socket.send(OFFERED)
        assert "answer" in await socket.receive_text()
        assert await socket.receive_text() == "START"
        for _ in range(40):
            await client.pass_time(0.5)
        assert await socket.receive_text() == "CLOSING REASON: NO VIEWER"
        assert await gone(client)
        await socket.leave()

    run_client(test)


def test_scenery_is_refused_and_pings_are_answered() -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        await socket.send(b"CAM_" + b"\1" * 36)
        assert await socket.receive_text() == "Selected model does not support camera"
        await socket.send("BG_0000")
        assert await socket.receive_text() == "Selected model does not support backgrounds"
        await socket.send("ping 12.5")
        assert await socket.receive_text() == "pong 12.5"
        await socket.send(json.dumps({"type": "something newer"}))
        await settle()
        assert not session.utterances and not await gone(client)
        await socket.leave()

    run_client(test)


def test_a_client_that_reads_nothing_is_left() -> None:
    async def test(client: AppClient) -> None:
        socket, session = await start(client)
        socket.stop_reading()
        for number in range(100):
            session.emit(session_event("started", number))
            session.emit(session_event("ended", number))
        socket.read_on()
        assert await gone(client)
        await socket.leave()

    run_client(test)
