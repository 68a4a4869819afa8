"""The ASGI layer that puts the dialect's credentials where ours are read."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope

from lipstream.server.dialects.credentials import (
    DialectCredentials,
    authorize,
    bearer_of,
    lead_to_session,
)
from lipstream.server.dialects.liveavatar.addresses import KEY, LED, SESSION_SOCKET, SOCKET, TOKEN


class LiveAvatarCredentials(DialectCredentials):
    """Reads the key and the session's token where the plugin puts them.

    For example `X-API-KEY: K` becomes `Authorization: Bearer K`, and `.../start` with a session's
    token `.../liveavatar/start` of that session.
    """

    SOCKET, SESSION_SOCKET = SOCKET, SESSION_SOCKET

    def _lead(self, scope: Scope, path: str) -> None:
        headers = Headers(scope=scope)
        if path == TOKEN and KEY in headers:
            authorize(scope, headers[KEY])
        elif path in LED:
            lead_to_session(scope, self._tokens, bearer_of(headers), path, LED[path])
