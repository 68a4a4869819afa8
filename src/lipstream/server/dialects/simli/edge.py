"""The ASGI layers that read credentials, and word refusals, as clients of the dialect do."""

from __future__ import annotations

import json
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lipstream.server.dialects.credentials import DialectCredentials, authorize
from lipstream.server.dialects.simli.addresses import ICE, KEY, SESSION_SOCKET, SOCKET, TOKEN
from lipstream.server.security.access import route_path

WORDS = {401: "INVALID_API_KEY", 404: "INVALID_FACE_ID"}  # of which clients make exceptions


class SimliCredentials(DialectCredentials):
    """Reads the key and the session's token where clients of the dialect put them: for example
    `x-simli-api-key: K` becomes `Authorization: Bearer K`."""

    SOCKET, SESSION_SOCKET = SOCKET, SESSION_SOCKET

    def _lead(self, scope: Scope, path: str) -> None:
        headers = Headers(scope=scope)
        if path in (TOKEN, ICE) and "authorization" not in headers and KEY in headers:
            authorize(scope, headers[KEY])


class SimliRefusals:
    """Adds to each refusal of the dialect's calls the `detail` that its clients read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and route_path(scope) in (TOKEN, ICE):
            send = _Detailed(send)
        await self._app(scope, receive, send)


class _Detailed:
    """`send`, which holds a refusal until it is whole and adds `detail` to it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None  # of a refusal
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                body = with_detail(self._start["status"], self._body)
                MutableHeaders(scope=self._start)["content-length"] = str(len(body))
                await self._send(self._start)
                await self._send({"type": "http.response.body", "body": body})


def with_detail(status: int, body: bytes) -> bytes:
    """The JSON of a refusal with `detail`: a word that clients know, or our sentence."""
    try:
        content: Any = json.loads(body)
        sentence = content["error"]["message"]
    except (ValueError, KeyError, TypeError):  # not from us
        return body
    return json.dumps({**content, "detail": WORDS.get(status, sentence)}).encode()
