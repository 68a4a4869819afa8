"""The one shape of all refusals: {"error": {"code", "message"}} with the right status."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lipstream.errors import LipstreamError

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
}


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
        return envelope(self.status_code, self.code, str(self.detail), self.headers)


def envelope(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response for one error."""
    content = {"error": {"code": code, "message": message}}
    return JSONResponse(content, status, dict(headers or {}))


def install(app: FastAPI) -> None:
    """Give every error of `app` this shape."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(LipstreamError, _unusable)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, ApiError):
        return error.response()
    status = error.status_code
    message = str(error.detail)
    if message == HTTPStatus(status).phrase:  # Starlette's own, of a path or method unknown to it
        message = {
            404: "nothing is at this address; see /docs.",
            405: "this address has no such method; see /docs.",
        }.get(status, message)
    return envelope(status, CODES.get(status, "refused"), message, error.headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "the request"
    return envelope(422, CODES[422], f"{place}: {first['msg']}; see /docs.")


def _unusable(request: Request, error: Exception) -> Response:
    return envelope(400, CODES[400], str(error))


def fault() -> JSONResponse:
    """The response to an unforeseen exception."""
    return envelope(500, CODES[500], "this is a bug in lipstream; its log has the details.")
