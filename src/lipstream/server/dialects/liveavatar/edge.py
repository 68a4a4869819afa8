"""The ASGI layer that puts the dialect's credentials where ours are read."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lipstream.server.dialects.credentials import authorize, lead_to_session, session_token
from lipstream.server.dialects.liveavatar.addresses import KEY, LED, SESSION_SOCKET, SOCKET, TOKEN
from lipstream.server.security.access import route_path
from lipstream.server.security.session_tokens import SessionTokens


class LiveAvatarCredentials:
    """Reads the key and the session's token where the plugin puts them.

    For example `X-API-KEY: K` becomes `Authorization: Bearer K`, and `.../start` with a session's
    token `.../liveavatar/start` of that session.
    """

    def __init__(self, app: ASGIApp, *, tokens: SessionTokens) -> None:
        self._app, self._tokens = app, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "" if scope["type"] == "lifespan" else route_path(scope)
        if scope["type"] == "websocket" and path == SOCKET:
            token = session_token(scope.get("query_string", b""))
            lead_to_session(scope, self._tokens, token, SOCKET, SESSION_SOCKET)
        elif scope["type"] == "http" and path in (TOKEN, *LED):
            headers = Headers(scope=scope)
            if path == TOKEN and KEY in headers:
                authorize(scope, headers[KEY])
            elif path in LED:
                token = headers.get("authorization", "").partition(" ")[2].strip()
                lead_to_session(scope, self._tokens, token, path, LED[path])
        await self._app(scope, receive, send)
