"""Tokens that open one session and nothing else: what a backend may hand to a browser."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

TOKEN_BYTES = 32  # 256 bits
SESSION = re.compile(r"/v1/sessions/([^/]+)(?:/.*)?", re.DOTALL)
PICTURE = re.compile(r"/v1/avatars/([^/]+)/picture")


@dataclass(frozen=True, slots=True)
class Grant:
    """The session that a token opens, and the avatar whose picture it shows."""

    session_id: str
    avatar_id: str

    def covers(self, method: str, path: str) -> bool:
        """True for the session's own routes, and for the picture of its avatar."""
        if (session := SESSION.fullmatch(path)) is not None:
            return session[1] == self.session_id
        picture = PICTURE.fullmatch(path)
        return picture is not None and method == "GET" and picture[1] == self.avatar_id


def takes_session_token(path: str) -> bool:
    """True for the paths of which a session's token can open one."""
    return SESSION.fullmatch(path) is not None or PICTURE.fullmatch(path) is not None


class SessionTokens:
    """The tokens of live sessions, one each. Kept as SHA-256: nobody can read one from here."""

    def __init__(self, worker_id: str | None = None) -> None:
        """Tokens end in `.` and `worker_id`, so that a front knows whose they are."""
        self._suffix = "" if worker_id is None else f".{worker_id}"
        self._grants: dict[bytes, Grant] = {}  # by the digest of the token
        self._digests: dict[str, bytes] = {}  # by the id of the session

    def __len__(self) -> int:
        return len(self._grants)

    def issue(self, session_id: str, avatar_id: str) -> str:
        """A new token of the session; an earlier one opens nothing any more."""
        self.revoke(session_id)
        token = secrets.token_urlsafe(TOKEN_BYTES) + self._suffix
        digest = self._digests[session_id] = _digest(token)
        self._grants[digest] = Grant(session_id, avatar_id)
        return token

    def revoke(self, session_id: str) -> None:
        """The session has ended. Does nothing for one without a token."""
        digest = self._digests.pop(session_id, None)
        if digest is not None:
            del self._grants[digest]

    def find(self, token: str) -> Grant | None:
        """The grant of the token, if it is one of a live session.

        The digest is looked up, not the token: how long that takes depends on bits that a guesser
        cannot choose.
        """
        return self._grants.get(_digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
