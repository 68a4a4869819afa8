"""The ASGI layer that applies the rules of access, meters bodies and adds safe headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lipstream.server.errors import ApiError
from lipstream.server.security.access import AccessPolicy
from lipstream.server.security.content_policy import CONTENT_POLICY
from lipstream.server.security.rate_limit import MeteredBody, too_large

MAX_BODY_BYTES = 64 * 1024  # of JSON or SDP
SAFE_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    # Pages elsewhere may show nothing of ours; what they fetch with CORS is another matter.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=()",
}


class SecurityMiddleware:
    """Checks every request before the application and completes every response after it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: AccessPolicy,
        uploads: Mapping[str, int],
        on_refused: Callable[[str], None],
    ) -> None:
        """`uploads`: bytes that may be sent to paths with this end; others take `MAX_BODY_BYTES`.
        `on_refused` is called with the code of each refusal."""
        self._app, self._access = app, access
        self._uploads, self._on_refused = uploads, on_refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers, sending = Headers(scope=scope), SafeSend(send)
        try:
            self._access.check(scope, headers)
            if scope["type"] == "http":
                receive = self._metered(scope["path"], headers, receive)
        except ApiError as refusal:
            self._on_refused(refusal.code)
            if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
                await refusal.response()(scope, receive, sending)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        try:
            await self._app(scope, receive, sending)
        except Exception:
            if scope["type"] == "http" and not sending.started:
                bug = ApiError(500, "this is a bug in lipstream; its log has the details.")
                await bug.response()(scope, receive, sending)  # here, where headers are still added
            raise  # uvicorn logs it

    def _metered(self, path: str, headers: Headers, receive: Receive) -> Receive:
        found = (limit for end, limit in self._uploads.items() if path.endswith(end))
        limit = next(found, MAX_BODY_BYTES)
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > limit:
            raise too_large(limit)
        return MeteredBody(receive, limit)


class SafeSend:
    """`send`, which adds `SAFE_HEADERS` to the response."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in SAFE_HEADERS.items():
                headers.setdefault(name, value)
            headers.add_vary_header("Origin")
        await self._send(message)
