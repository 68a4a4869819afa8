"""The one shape of all refusals: {"error": {"code", "message"}} with the right status."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lipstream.errors import LipstreamError, disk_is_full
from lipstream.server.avatars.stores.base import StoreError
from lipstream.server.rtc.interfaces import NoPortError, RestartError, SignallingError

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    413: "too_large",
    415: "unsupported_type",
    422: "invalid",
    429: "too_many_requests",
    500: "internal",
    503: "unavailable",
    507: "disk_full",
}
ENDED = "this session has ended; open a new one."
IN_ROOM = "this session is shown in a LiveKit room, where its agent speaks; open another one."
UNKNOWN = {  # instead of Starlette's words for a path or method that it does not know
    404: "nothing is at this address; see /docs.",
    405: "this address has no such method; see /docs.",
}


STORE_GONE = "uploaded avatars cannot be reached at present; try again in a while."
DISK_FULL = "the server's disk is full; try again later, or free some space."
FOLDERS = re.compile(r"""(?<![\w.:/\\])(?:[A-Za-z]:)?(?:[/\\][^/\\\s'"]+)+[/\\](?=[^/\\\s'"])""")


class ApiError(HTTPException):
    """A request that is not served: status, a word for programs and a sentence for people."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}) or None)
        self.code = code or CODES[status]

    def response(self) -> JSONResponse:
        content = {"error": {"code": self.code, "message": str(self.detail)}}
        return JSONResponse(content, self.status_code, dict(self.headers or {}))


def install(app: FastAPI, on_refused: Callable[[str], None]) -> None:
    """Give every error of `app` this shape; `on_refused` is called with the code of each."""

    def refuse(request: Request, error: Exception) -> Response:
        refusal = _refusal(error)
        on_refused(refusal.code)
        return refusal.response()

    for kind in (HTTPException, RequestValidationError, LipstreamError):
        app.add_exception_handler(kind, refuse)


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer at an address without a route, also to a WebSocket, which Starlette would refuse
    without a word."""
    missing = ApiError(404, UNKNOWN[404])
    if scope["type"] != "websocket":
        raise missing
    if "websocket.http.response" in scope.get("extensions", {}):
        await missing.response()(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008})


def _refusal(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        status, message = error.status_code, str(error.detail)
        if message == HTTPStatus(status).phrase:
            message = UNKNOWN.get(status, message)
        return ApiError(status, message, CODES.get(status, "refused"), error.headers)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the request"
        return ApiError(422, f"{place}: {first['msg']}; see /docs.")
    if isinstance(error, RestartError):
        return ApiError(422, str(error), "no_restart")
    if isinstance(error, NoPortError):
        return ApiError(503, str(error), "no_port", {"Retry-After": "10"})
    if disk_is_full(error):
        return ApiError(507, DISK_FULL)
    if isinstance(error, StoreError):
        return ApiError(503, STORE_GONE, "store_unavailable", {"Retry-After": "5"})
    code = "bad_sdp" if isinstance(error, SignallingError) else None
    return ApiError(400, without_folders(str(error)), code)


def without_folders(sentence: str, *known: Path) -> str:
    """The sentence with absolute paths cut down to their last part: clients need not know where the
    server keeps its files. For example "/srv/data/a.png" becomes "a.png". Folders whose names hold
    spaces must be `known`."""
    for folder in known:
        sentence = sentence.replace(f"{folder}{os.sep}", "")
    return FOLDERS.sub("", sentence)
