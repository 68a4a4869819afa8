"""Who may come in: hosts, origins, the token, and how often.

Everything needs the token but what is listed as public: a new route is closed until it is opened.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lipstream.server.errors import ApiError
from lipstream.server.security.rate_limit import Buckets
from lipstream.server.settings import LOCAL_NAMES, ServeSettings

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Scope

    from lipstream.live.clock import Clock

BURST = 5  # seconds of the rate that may come at once
WRONG_TOKENS_PER_SECOND = 0.5
WRONG_TOKENS_AT_ONCE = 20
SUBPROTOCOL = "bearer."  # browsers cannot set headers of a WebSocket
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class AccessPolicy:
    """The rules, as a function of a request."""

    def __init__(self, settings: ServeSettings, clock: Clock, public: Iterable[str]) -> None:
        """`public` are the exact paths that need no token."""
        self._settings = settings
        self._public = frozenset(public)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.origins)
        self._names = LOCAL_NAMES | {urlsplit(origin).hostname or "" for origin in self._origins}
        self._changes = Buckets(settings.rate, settings.rate * BURST, clock)
        self._guesses = Buckets(WRONG_TOKENS_PER_SECOND, WRONG_TOKENS_AT_ONCE, clock)

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raise the Refusal this request deserves, if any."""
        self._check_host(headers)
        if scope.get("method") == "OPTIONS":  # a preflight carries no token and tells nothing
            return
        client = _client(scope)
        if scope["type"] == "websocket" or scope["path"] not in self._public:
            self._check_origin(headers)
            self._check_token(scope, headers, client)
        if scope["type"] == "websocket" or scope["method"] in CHANGING:
            self._check_rate(client)

    def allows_origin(self, headers: Headers) -> bool:
        """Whether a page of this origin may read answers. No origin is no page."""
        origin = headers.get("origin")
        return origin is None or self._same(origin, headers) or origin.lower() in self._origins

    def _same(self, origin: str, headers: Headers) -> bool:
        """Whether the page came from here. Ports count, schemes do not: TLS may end before us."""
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and parts.netloc.lower() == _host(headers)

    def _check_host(self, headers: Headers) -> None:
        """On loopback a name that leads here by DNS alone is somebody else's page at work."""
        if self._settings.loopback and _name(_host(headers)) not in self._names:
            raise ApiError(
                403,
                "this server answers to localhost only; call it so, or start it with --origin "
                "and the address of your proxy.",
                "wrong_host",
            )

    def _check_origin(self, headers: Headers) -> None:
        if not self.allows_origin(headers):
            raise ApiError(
                403,
                "pages of this origin may not use the server; start it with --origin to allow it.",
                "wrong_origin",
            )

    def _check_token(self, scope: Scope, headers: Headers, client: str) -> None:
        expected = self._settings.token
        if expected is None:
            return
        given = _bearer(scope, headers)
        if given is not None and hmac.compare_digest(given.encode(), expected.encode()):
            return
        if given is not None and (wait := self._guesses.take(client)):
            raise _too_often(wait)
        raise ApiError(
            401,
            "a valid token is needed; send it as `Authorization: Bearer TOKEN`.",
            headers={"WWW-Authenticate": 'Bearer realm="lipstream"'},
        )

    def _check_rate(self, client: str) -> None:
        if wait := self._changes.take(client):
            raise _too_often(wait)


def bearer_protocol(offered: Iterable[str]) -> str | None:
    """The WebSocket subprotocol that carries the token, if one does."""
    return next((name for name in offered if name.startswith(SUBPROTOCOL)), None)


def _bearer(scope: Scope, headers: Headers) -> str | None:
    """The token given in the header, or as a subprotocol; never in the address, which is logged."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if scope["type"] == "websocket":
        protocol = bearer_protocol(scope.get("subprotocols", ()))
        return None if protocol is None else protocol.removeprefix(SUBPROTOCOL)
    return None


def _client(scope: Scope) -> str:
    """The address of the client, or of the proxy unless that tells."""
    return str((scope.get("client") or ("",))[0])


def _host(headers: Headers) -> str:
    return headers.get("host", "").lower()


def _name(host: str) -> str:
    """A Host header without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _too_often(wait: float) -> ApiError:
    return ApiError(
        429,
        "too many requests from this address; wait a little.",
        headers={"Retry-After": str(math.ceil(wait))},
    )
