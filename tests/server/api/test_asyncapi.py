"""The description of the WebSocket says what the socket does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from lipstream.errors import SynthesisError
from lipstream.live.session.types import SessionEvent
from lipstream.media.captions import Caption
from lipstream.server.api.asyncapi import asyncapi_document
from lipstream.server.api.audio_socket import RATES
from lipstream.server.api.socket_messages import CLIENT_MESSAGES
from lipstream.server.dialects.liveavatar import addresses as liveavatar
from lipstream.server.dialects.simli import addresses as simli
from tests.server.app_client import AppClient, run_client
from tests.server.fake_runtime import session_event
from tests.server.security.route_table import ROUTES
from tests.server.sources import counting

DOCUMENT = asyncapi_document()
EVENTS = [
    session_event("started"),
    session_event("ended", 1, 40),
    session_event("interrupted", 2, 80),
    session_event("failed", 3),
    SessionEvent("failed", 4, 40, error=SynthesisError("the provider broke off.")),
    SessionEvent("caption", 5, 0, Caption("hello", 0, None), 24_000),
    session_event("render_failed", 6),
]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from references(inner)


def resolved(reference: str) -> Any:
    found: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def payload(operation: str, kind: str) -> dict[str, Any]:
    """The schema of a message, with the shared ones that it may refer to."""
    for reference in DOCUMENT["operations"][operation]["messages"]:
        message = resolved(resolved(reference["$ref"])["$ref"])
        if message["title"] == kind:
            schema: dict[str, Any] = resolved(message["payload"]["$ref"])
            return schema | {"components": DOCUMENT["components"]}
    raise AssertionError(f"{kind} is not described")


def test_every_reference_leads_somewhere() -> None:
    assert all(resolved(reference) for reference in references(DOCUMENT))


def test_address_and_rates_are_those_of_the_route() -> None:
    channels = DOCUMENT["channels"]
    others = {simli.SESSION_SOCKET, liveavatar.SESSION_SOCKET}
    sockets = {path for method, path in ROUTES if method == "WEBSOCKET"} - others
    assert {channel["address"] for channel in channels.values()} == sockets
    query = channels["audio"]["bindings"]["ws"]["query"]["properties"]
    assert query["sample_rate"]["enum"] == [str(rate) for rate in RATES]


def test_what_the_server_sends_is_as_described() -> None:
    rust = pytest.importorskip("jsonschema_rs")

    async def test(client: AppClient) -> None:
        socket = await client.open_socket(await client.open())
        await socket.send("?")
        await socket.send({"type": "interrupt"})
        await socket.send(counting(960))
        seen = [await socket.receive() for _ in range(3)]
        for change in EVENTS:
            client.runtime.sessions[0].emit(change)
            seen.append(await socket.next_event())
        assert {event["type"] for event in seen} >= {"error", "interrupted", "queued", "caption"}
        for event in seen:
            rust.validator_for(payload("listen", event["type"])).validate(event)
        await socket.leave()

    run_client(test)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "end"},
        {"type": "interrupt"},
        {"type": "say", "text": "Hello."},
        {"type": "caption", "text": "hello", "at_ms": 0, "until_ms": 40, "opens_line": False},
        {"type": "caption", "text": "", "at_ms": 0},
        {"type": "caption", "text": "hello", "at_ms": "0"},
        {"type": "say", "text": 7},
        {"type": "say", "text": "Hello.", "speed": 2},
    ],
)
def test_what_a_client_may_send_is_as_described(message: dict[str, Any]) -> None:
    rust = pytest.importorskip("jsonschema_rs")
    described = rust.validator_for(payload("speak", message["type"])).is_valid(message)
    try:
        CLIENT_MESSAGES.validate_python(message)
        taken = True
    except ValidationError:
        taken = False
    assert described == taken


def test_it_is_served_with_what_the_code_uses() -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.get("/asyncapi.json")
        assert json.loads(answer.text) == DOCUMENT
        assert (await client.http.head("/asyncapi.json")).status_code == 200

    run_client(test)
