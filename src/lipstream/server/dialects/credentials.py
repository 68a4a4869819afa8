"""Requests of dialects, led to the session whose token they carry in their own way.

That comes before all else, so that every rule of access sees a request as any other: the key is the
server's token, and the token of a session opens that session's own socket.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lipstream.server.security.access import route_path
from lipstream.server.security.session_tokens import SessionTokens

NO_SESSION = "-"  # the id of none


class DialectCredentials(ABC):
    """The ASGI layer that reads a dialect's credentials and puts them where ours are read.

    Its socket, whose query has the token of a session, becomes that session's: for example
    `/compose/webrtc/p2p?session_token=T` that of the session which T opens, with `Bearer T`.
    """

    SOCKET: ClassVar[str]  # the address that clients know
    SESSION_SOCKET: ClassVar[str]  # what it stands for, once the token has told the session

    def __init__(self, app: ASGIApp, *, tokens: SessionTokens) -> None:
        self._app, self._tokens = app, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "" if scope["type"] == "lifespan" else route_path(scope)
        if scope["type"] == "websocket" and path == self.SOCKET:
            token = session_token(scope.get("query_string", b""))
            lead_to_session(scope, self._tokens, token, path, self.SESSION_SOCKET)
        elif scope["type"] == "http":
            self._lead(scope, path)
        await self._app(scope, receive, send)

    @abstractmethod
    def _lead(self, scope: Scope, path: str) -> None:
        """Change a request by HTTP, if it is one of the dialect's."""


def session_token(query: bytes) -> str:
    """The token in the query of a socket's address; empty without one."""
    found = parse_qs(query.decode("latin-1")).get("session_token", [""])
    return found[-1]


def bearer_of(headers: Headers) -> str:
    """The token that a request carries; empty without one."""
    return headers.get("authorization", "").partition(" ")[2].strip()


def lead_to_session(scope: Scope, tokens: SessionTokens, token: str, asked: str, path: str) -> None:
    """Make the request at the address `asked` one at `path`, of the session that `token` opens:
    "{session_id}" in it is that session's. Changes the scope itself: whoever serves it learns from
    it that it was admitted."""
    grant = tokens.find(token)
    own = path.format(session_id=NO_SESSION if grant is None else grant.session_id)
    root = str(scope["path"]).removesuffix(asked)
    scope["path"], scope["raw_path"] = root + own, (root + own).encode()
    authorize(scope, token)


def authorize(scope: Scope, token: str) -> None:
    """Have the request carry `token` as a bearer, and no other."""
    kept = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
    scope["headers"] = [*kept, (b"authorization", b"Bearer " + token.encode("latin-1", "replace"))]
