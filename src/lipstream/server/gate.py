"""The outermost ASGI layer: applies the rules, meters bodies, answers preflights, adds headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from lipstream.server.limits import MeteredBody, too_large
from lipstream.server.refusals import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lipstream.server.access import Access

SMALL_BODY = 64 * 1024  # bytes of JSON or SDP
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)
SAFE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=()",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "600",
}
EXPOSED_HEADERS = "Location, Link, ETag, Retry-After"


class Gate:
    """What every request passes first and every response last."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        uploads: Mapping[str, int],
        refused: Callable[[str], None],
    ) -> None:
        """`uploads`: bytes that may be sent to paths with this end; others take `SMALL_BODY`.

        `refused` is told the code of each refusal.
        """
        self._app, self._access = app, access
        self._uploads, self._refused = uploads, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer: Response | None = None
        try:
            self._access.check(scope, headers)
            if scope["type"] == "http":
                receive = self._metered(scope["path"], headers, receive)
            if _is_preflight(scope, headers):
                answer = Response(status_code=200, headers=PREFLIGHT)
        except Refusal as refusal:
            self._refused(refusal.code)
            answer = refusal.response()
        send = self._with_headers(headers, send)
        if answer is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
            await answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _metered(self, path: str, headers: Headers, receive: Receive) -> Receive:
        limit = next(
            (most for end, most in self._uploads.items() if path.endswith(end)), SMALL_BODY
        )
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > limit:
            raise too_large(limit)
        return MeteredBody(receive, limit)

    def _with_headers(self, request: Headers, send: Send) -> Send:
        """`send`, with the headers that every response has."""
        origin = request.get("origin")
        readable = origin is not None and self._access.allows_origin(request)

        async def sent(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                headers.add_vary_header("Origin")
                if origin is not None and readable:
                    headers["Access-Control-Allow-Origin"] = origin
                    headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
            await send(message)

        return sent


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    return scope.get("method") == "OPTIONS" and "access-control-request-method" in headers
