"""The paths of requests: whose session one names, or that it opens one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lipstream.server.dialects.credentials import session_token
from lipstream.server.dialects.liveavatar import addresses as liveavatar
from lipstream.server.dialects.rooms import addresses as rooms
from lipstream.server.dialects.simli import addresses as simli

SESSION_PATH = re.compile(r"/v1/sessions/([^/]+)(?:/.*)?", re.DOTALL)
SESSION_ID = re.compile(r"[0-9a-f]{32}-([a-z0-9]{1,16})")
PICTURE = re.compile(r"/v1/avatars/[^/]+/picture")
TOKEN_END = re.compile(r"[A-Za-z0-9_-]{43}\.([a-z0-9]{1,16})")  # of `SessionTokens`
OPENERS = (
    "/v1/sessions",
    "/whep",
    simli.TOKEN,
    liveavatar.TOKEN,
    rooms.ANAM,
    rooms.BITHUMAN,
)
DIALECT_SOCKETS = (simli.SOCKET, liveavatar.SOCKET)  # whose token is in the query
AVATARS = "/v1/avatars"


def session_in(path: str) -> str | None:
    """The id in a session's own path, whole or short."""
    found = SESSION_PATH.fullmatch(path)
    return None if found is None else found[1]


def worker_of(session_id: str) -> str | None:
    """The worker of a session; None for an id without one, such as a short id."""
    found = SESSION_ID.fullmatch(session_id)
    return None if found is None else found[1]


def worker_of_token(path: str, authorization: str) -> str | None:
    """The worker whose session's token asks for a picture, or in a dialect for the session itself:
    no other one knows that token."""
    if PICTURE.fullmatch(path) is None and path not in liveavatar.LED:
        return None
    found = TOKEN_END.fullmatch(authorization.partition(" ")[2].strip())
    return None if found is None else found[1]


def worker_of_socket(path: str, query: bytes) -> str | None:
    """The worker of the session whose WebSocket this is, by its id or, in a dialect, its token."""
    if path not in DIALECT_SOCKETS:
        return worker_of(session_in(path) or "")
    found = TOKEN_END.fullmatch(session_token(query))
    return None if found is None else found[1]


def opens_session(method: str, path: str) -> bool:
    """True for the requests that a front places."""
    return method == "POST" and path in OPENERS


def replaced_session(body: Any) -> str | None:
    """The session whose place the new one takes, by the JSON of `POST /v1/sessions`."""
    replaced = body.get("replaces") if isinstance(body, Mapping) else None
    return replaced if isinstance(replaced, str) else None
