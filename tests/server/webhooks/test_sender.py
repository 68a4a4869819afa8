"""Webhooks arrive signed, in order, and never hold anything up."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lipstream.server.settings import ServeSettings
from lipstream.server.webhooks import sender as module
from lipstream.server.webhooks.sender import MAX_QUEUED, WebhookSender
from lipstream.server.webhooks.signature import key_of, signed_headers
from tests.server.app_client import AppClient, open_client, until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE_S = 20.0


class Receiver:
    """A receiver on this machine that answers each request with the next of its answers."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.url = ""
        self.requests: list[tuple[dict[str, str], bytes]] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Receiver]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/secret-path"
        async with server:
            yield self

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[1:-1]
            headers = {
                name.lower(): value for name, value in (line.split(": ", 1) for line in head)
            }
            body = await reader.readexactly(int(headers["content-length"]))
            self.requests.append((headers, body))
            answer = self._answers.pop(0) if self._answers else b"204 No Content"
            if answer == b"nothing":
                await reader.read()  # until the sender gives up
            elif answer != b"hang up":
                writer.write(b"HTTP/1.1 " + answer + b"\r\nConnection: close\r\n")
                if answer.startswith(b"200"):
                    writer.write(b"Content-Length: 1000000\r\n")  # of which nothing comes
                writer.write(b"\r\n")
                await writer.drain()
        finally:
            writer.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(test(), PATIENCE_S)

    asyncio.run(limited())


@asynccontextmanager
async def sending(url: str, outcomes: Counter[str]) -> AsyncIterator[WebhookSender]:
    def count(outcome: str) -> None:
        outcomes[outcome] += 1

    sender = WebhookSender(url, SECRET, count, back_off_s=(0.0, 0.0))
    sender.start()
    try:
        yield sender
    finally:
        await sender.close()


def test_an_event_is_signed_and_says_what_happened() -> None:
    async def test() -> None:
        outcomes: Counter[str] = Counter()
        async with Receiver(b"200 OK").listening() as receiver:
            async with sending(receiver.url, outcomes) as sender:
                sender.put("session.opened", {"session": "abc", "avatar": "face"})
                await until(lambda: outcomes["delivered"] == 1)
            ((headers, body),) = receiver.requests
        message = json.loads(body)
        assert message["type"] == "session.opened" and message["timestamp"].endswith("Z")
        assert message["data"] == {"session": "abc", "avatar": "face"}
        assert headers["content-type"] == "application/json"
        expected = signed_headers(
            key_of(SECRET), headers["webhook-id"], int(headers["webhook-timestamp"]), body
        )
        assert {name: headers[name] for name in expected} == expected

    run(test)


@pytest.mark.parametrize("wrong", [b"500 Oops", b"302 Found\r\nLocation: /there", b"hang up"])
def test_a_receiver_that_errs_is_asked_three_times(
    wrong: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        outcomes: Counter[str] = Counter()
        answers = [wrong, wrong, b"204 No Content", wrong, wrong, wrong, b"204 No Content"]
        async with Receiver(*answers).listening() as receiver:
            async with sending(receiver.url, outcomes) as sender:
                for event in ("first", "second", "third"):
                    sender.put(event, {})
                await until(lambda: outcomes.total() == 3)
        assert outcomes == {"delivered": 2, "failed": 1}
        assert receiver.types == ["first"] * 3 + ["second"] * 3 + ["third"]
        ids = [headers["webhook-id"] for headers, _ in receiver.requests]
        assert len(set(ids[:3])) == 1 and len(set(ids)) == 3

    with caplog.at_level(logging.INFO, logger="lipstream"):
        run(test)
    (event,) = [record for record in caplog.records if record.name.startswith("lipstream")]
    assert event.message == "webhook failed"
    assert "secret-path" not in str(vars(event)) and SECRET not in str(vars(event))


def test_a_receiver_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        outcomes: Counter[str] = Counter()
        async with Receiver(*[b"nothing"] * 3).listening() as receiver:
            async with sending(receiver.url, outcomes) as sender:
                sender.put("first", {})
                sender.put("second", {})
                await until(lambda: outcomes.total() == 2)
        assert outcomes == {"failed": 1, "delivered": 1}

    monkeypatch.setattr(module, "ANSWER_S", 0.2)
    run(test)


def test_the_oldest_event_gives_way_and_what_is_left_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        outcomes: Counter[str] = Counter()
        async with Receiver(b"nothing").listening() as receiver:
            async with sending(receiver.url, outcomes) as sender:
                sender.put("in hand", {})
                await until(lambda: receiver.types == ["in hand"])
                for number in range(MAX_QUEUED + 10):
                    sender.put("event", {"number": number})
                assert outcomes == {"dropped": 10}
            assert outcomes == {"dropped": MAX_QUEUED + 10}

    monkeypatch.setattr(module, "FLUSH_S", 0.05)
    run(test)


def test_a_server_that_could_send_nothing_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        settings = ServeSettings(webhook="https://127.0.0.1:1/", webhook_secret=SECRET)
        with pytest.raises(OSError):
            async with open_client(settings):
                pass

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing.pem"))
    run(test)


@pytest.mark.parametrize("gone", [False, True])
def test_each_session_is_told_once_opened_and_once_ended(
    monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    if gone:
        monkeypatch.setattr(module, "FLUSH_S", 0.05)

    async def test() -> None:
        async with Receiver().listening() as receiver:
            if gone:
                receiver.url = "http://127.0.0.1:1/"  # where nobody listens

            async def talk(client: AppClient) -> None:
                made: list[Any] = [await client.open() for _ in range(3)]
                await client.http.delete(f"/v1/sessions/{made[0]['id']}")
                client.manager.fail_all()
                await until(lambda: len(client.manager) == 0)
                made.append(await client.open())  # ends with the server
                if not gone:
                    await until(lambda: len(receiver.requests) == 7)
                    found = [json.loads(body) for _, body in receiver.requests]
                    assert [one["type"].removeprefix("session.") for one in found] == [
                        *["opened"] * 3,
                        "closed",
                        *["failed"] * 2,
                        "opened",
                    ]
                    data = found[3]["data"]
                    assert data == {
                        "session": made[0]["id"],
                        "avatar": "face",
                        "reason": "closed",
                        "seconds": 0,
                    }
                    text = await client.metrics()
                    assert 'lipstream_webhooks_total{outcome="delivered"}' in text

            settings = ServeSettings(rate=0, webhook=receiver.url, webhook_secret=SECRET)
            async with open_client(settings) as client:
                await talk(client)
            if not gone:
                assert receiver.types[-1] == "session.closed"

    run(test)
