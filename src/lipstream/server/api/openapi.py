"""Shared parts of the API's description: errors, bodies that are no JSON, and examples."""

from __future__ import annotations

from typing import Any

from fastapi import Security, params
from fastapi.security import HTTPBearer

from lipstream.server.schemas.message import ErrorBody
from lipstream.server.settings import ServeSettings

WORDS = {
    400: "The request or its file cannot be used.",
    401: "The token is missing or wrong.",
    403: "The Host or the Origin is not allowed.",
    404: "No such thing.",
    408: "The body came too slowly.",
    409: "Not in this state.",
    413: "Too large.",
    415: "Of the wrong type.",
    422: "A field is missing or has an impossible value.",
    429: "Too many requests.",
    500: "A bug; the server's log has more.",
    501: "This server was not set up for it.",
    502: "A LiveKit server cannot be reached.",
    503: "No room now.",
    504: "A LiveKit server does not answer.",
    507: "The server's disk is full.",
}
ALWAYS = (401, 403, 422, 429)  # a documented 422 keeps FastAPI from adding a model of its own
RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}

Responses = dict[int | str, dict[str, Any]]


def token_dependencies(settings: ServeSettings) -> list[params.Depends]:
    """The description of the token, where there is one; `AccessPolicy` checks it."""
    return [] if settings.token is None else [Security(HTTPBearer(auto_error=False))]


def error_responses(*statuses: int, public: bool = False) -> Responses:
    """Documentation of the errors `statuses`, and of those that any call may meet."""
    common = (403,) if public else ALWAYS
    documented: Responses = {
        status: {"description": WORDS[status], "model": ErrorBody}
        for status in sorted({*common, *statuses})
    }
    for status in documented.keys() & {429, 503}:
        documented[status]["headers"] = RETRY
    return documented


def body(media_type: str, example: str) -> dict[str, Any]:
    """`openapi_extra` of a call that takes text of `media_type`."""
    schema = {"type": "string", "minLength": 1}
    return _request_body({media_type: {"schema": schema, "example": example}})


def file_form(description: str, **fields: str) -> dict[str, Any]:
    """`openapi_extra` of a call that takes a file and text fields by multipart."""
    properties: dict[str, Any] = {
        "file": {"type": "string", "format": "binary", "description": description},
        **{name: {"type": "string", "description": text} for name, text in fields.items()},
    }
    schema = {"type": "object", "properties": properties, "required": ["file"]}
    return _request_body({"multipart/form-data": {"schema": schema}})


def content(media_type: str, description: str, **schema: Any) -> dict[str, Any]:
    """A response whose body is no JSON."""
    return {
        "description": description,
        "content": {media_type: {"schema": {"type": "string", **schema}}},
    }


def _request_body(media: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": media}}
