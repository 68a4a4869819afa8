"""Requests of dialects, led to the session whose token they carry in their own way."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.types import Scope

from lipstream.server.security.session_tokens import SessionTokens

NO_SESSION = "-"  # the id of none


def session_token(query: bytes) -> str:
    """The token in the query of a socket's address; empty without one."""
    found = parse_qs(query.decode("latin-1")).get("session_token", [""])
    return found[-1]


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
