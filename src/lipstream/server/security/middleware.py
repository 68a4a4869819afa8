"""The outermost ASGI layer: applies the rules, meters bodies, answers preflights, adds headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from lipstream.server.errors import ApiError, fault
from lipstream.server.security.rate_limit import MeteredBody, too_large

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lipstream.server.security.access import AccessPolicy

SMALL_BODY = 64 * 1024  # bytes of JSON or SDP
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)
SAFE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=()",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "600",
}
EXPOSED_HEADERS = "Location, Link, ETag, Retry-After"


class SecurityMiddleware:
    """What every request passes first and every response last."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: AccessPolicy,
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
        except ApiError as refusal:
            self._refused(refusal.code)
            answer = refusal.response()
        sending = Sending(send, self._headers_for(headers))
        if answer is None:
            await self._pass_on(scope, receive, sending)
        elif scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
            await answer(scope, receive, sending)
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

    async def _pass_on(self, scope: Scope, receive: Receive, send: Sending) -> None:
        """To the application. A fault of ours is answered here, where headers are still added."""
        try:
            await self._app(scope, receive, send)
        except Exception:
            if scope["type"] == "http" and not send.started:
                await fault()(scope, receive, send)
            raise  # uvicorn logs it

    def _headers_for(self, request: Headers) -> dict[str, str]:
        """What every response to this request has."""
        origin = request.get("origin")
        if origin is None or not self._access.allows_origin(request):
            return SAFE_HEADERS
        readable = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": EXPOSED_HEADERS,
        }
        return {**SAFE_HEADERS, **readable}


class Sending:
    """`send`, with headers added to the response."""

    def __init__(self, send: Send, headers: Mapping[str, str]) -> None:
        self._send, self._headers = send, headers
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            headers.add_vary_header("Origin")
        await self._send(message)


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    return scope.get("method") == "OPTIONS" and "access-control-request-method" in headers
