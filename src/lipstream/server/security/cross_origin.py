"""CORS: answers that pages of other origins may read."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from lipstream.server.security.access import route_path
from lipstream.server.security.session_tokens import takes_session_token

METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
REQUEST_HEADERS = ("Authorization", "Content-Type", "If-Match")
RESPONSE_HEADERS = ("Location", "Link", "ETag", "Retry-After")


class CrossOrigin:
    """Lets pages of listed origins read everything that they are served, refusals too; those of any
    origin the page's own files, which are public, and what a session's token opens.

    Browsers are told `*`, which never goes together with cookies. `AccessPolicy` decides what is
    served: without that token nothing of a session is.
    """

    def __init__(self, app: ASGIApp, *, origins: Iterable[str], files: Iterable[str]) -> None:
        """`files` are the paths of the page's own files."""
        self._files = frozenset(files)
        self._listed, self._any = (_cors(app, allowed) for allowed in (sorted(origins), ["*"]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "" if scope["type"] == "lifespan" else route_path(scope)
        shared = path in self._files or takes_session_token(path)
        await (self._any if shared else self._listed)(scope, receive, send)


def _cors(app: ASGIApp, origins: list[str]) -> CORSMiddleware:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=REQUEST_HEADERS,
        expose_headers=RESPONSE_HEADERS,
    )
