"""The rules of access: hosts, origins, tokens, and how often.

Every path needs the server's token but those listed as public: a new route is closed until it is
opened. A session's own routes take that session's token too, and then from a page of any origin:
browsers send no bearer by themselves, so whoever sends one was given it.
Starlette's TrustedHostMiddleware is not used: it knows no IPv6 address and no error body of ours.
"""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from lipstream.live.clock import Clock
from lipstream.server.errors import ApiError
from lipstream.server.http.connection_table import network_of
from lipstream.server.security.rate_limit import Buckets
from lipstream.server.security.session_tokens import SessionTokens, takes_session_token
from lipstream.server.settings import LOCAL_NAMES, ServeSettings

BURST_S = 5  # seconds of the rate that may come at once
WRONG_TOKENS_PER_SECOND = 0.5
MAX_WRONG_TOKENS = 20  # at once
ADMITTED = "lipstream.admitted"  # in the scope of a request that passed every rule
ORIGIN = re.compile(r"https?://([^/?#@\s]+)")
FOREIGN_SITES = ("cross-site", "same-site")  # https://www.w3.org/TR/fetch-metadata/
SUBPROTOCOL = "bearer."  # browsers cannot set headers of a WebSocket
WRONG_HOST = (
    "this server answers to localhost only; call it so, or start it with --origin and the address "
    "of your proxy."
)
WRONG_ORIGIN = "pages of this origin may not use the server; start it with --origin to allow it."
WRONG_TOKEN = "a valid token is needed; send it as `Authorization: Bearer TOKEN`."
WRONG_SESSION_TOKEN = "this token does not open this; it is wrong, or its session has ended."
TOO_MANY = "too many requests from this address; wait a little."
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class AccessPolicy:
    """The rules, as a function of a request."""

    def __init__(
        self, settings: ServeSettings, clock: Clock, public: Iterable[str], sessions: SessionTokens
    ) -> None:
        """`public` are the exact paths that need no token."""
        self.origins = frozenset(origin.rstrip("/").lower() for origin in settings.origins)
        self._settings, self._sessions = settings, sessions
        self._public = frozenset(public)
        hosts = (urlsplit(origin).hostname for origin in self.origins)  # of "null" there is none
        self._names = LOCAL_NAMES | {host for host in hosts if host}
        self._changes = Buckets(settings.rate, settings.rate * BURST_S, clock)
        self._guesses = Buckets(WRONG_TOKENS_PER_SECOND, MAX_WRONG_TOKENS, clock)

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raise the ApiError with which this request is refused, if it is."""
        host = headers.get("host", "").lower()
        self._check_host(host)
        if scope.get("method") == "OPTIONS":  # asks for nothing that is secret
            return
        client = network_of(str((scope.get("client") or ("",))[0]))  # or a proxy's, if not trusted
        socket = scope["type"] == "websocket"
        closed = socket or route_path(scope) not in self._public
        if closed:
            self._check_caller(scope, headers, host, client)
        if socket or scope["method"] in CHANGING:
            _check_rate(self._changes, client)
        if closed:
            scope[ADMITTED] = True

    def knows(self, scope: Scope, headers: Headers) -> bool:
        """True for a request that the server's own token lets in, or that needs none. Nothing is
        counted."""
        host = headers.get("host", "").lower()
        try:
            self._check_host(host)
        except ApiError:
            return False
        given, expected = _bearer(scope, headers), self._settings.token
        right = expected is None or (given is not None and _same(given, expected))
        return right and not self._is_foreign(headers, host)

    def _check_host(self, host: str) -> None:
        """On loopback, any other name that leads here is DNS rebinding by somebody else's page."""
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if self._settings.loopback and name not in self._names:
            raise ApiError(403, WRONG_HOST, "wrong_host")

    def _check_caller(self, scope: Scope, headers: Headers, host: str, client: str) -> None:
        """The server's token is for pages of known origins, a session's for those of any."""
        given, path = _bearer(scope, headers), route_path(scope)
        expected = self._settings.token
        known = given is not None and expected is not None and _same(given, expected)
        if given is not None and not known and takes_session_token(path):
            grant = self._sessions.find(given)
            if grant is not None and grant.covers(str(scope.get("method", "GET")), path):
                return
            if expected is not None or self._is_foreign(headers, host):
                raise self._wrong(client, WRONG_SESSION_TOKEN)
        if self._is_foreign(headers, host):
            raise ApiError(403, WRONG_ORIGIN, "wrong_origin")
        if expected is not None and not known:
            raise self._wrong(None if given is None else client, WRONG_TOKEN)

    def _is_foreign(self, headers: Headers, host: str) -> bool:
        """A request without an origin comes from no script, but perhaps from a foreign page's
        <img>: browsers say so. TLS may end before us, so schemes of the same host do not count; its
        port does."""
        origin = headers.get("origin", "").lower()
        if origin in self.origins:
            return False
        if "origin" not in headers:
            return headers.get("sec-fetch-site", "none").strip().lower() in FOREIGN_SITES
        same = ORIGIN.fullmatch(origin)
        return same is None or same[1] != host

    def _wrong(self, guesser: str | None, message: str) -> ApiError:
        """The refusal of a missing or wrong token. ApiError 429 for who guesses too often."""
        if guesser is not None:
            _check_rate(self._guesses, guesser)
        return ApiError(401, message, headers={"WWW-Authenticate": 'Bearer realm="lipstream"'})


def route_path(scope: Scope) -> str:
    """The path as routes see it: below where the application is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def bearer_protocol(offered: Iterable[str]) -> str | None:
    """The WebSocket subprotocol that carries the token, if one does."""
    return next((name for name in offered if name.startswith(SUBPROTOCOL)), None)


def _bearer(scope: Scope, headers: Headers) -> str | None:
    """The token given in the header, or as a subprotocol; never in the address, which is logged."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    protocol = bearer_protocol(scope.get("subprotocols", ()))
    return None if protocol is None else protocol.removeprefix(SUBPROTOCOL)


def _same(given: str, expected: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _check_rate(buckets: Buckets, client: str) -> None:
    if wait := buckets.take(client):
        raise ApiError(429, TOO_MANY, headers={"Retry-After": str(math.ceil(wait))})
