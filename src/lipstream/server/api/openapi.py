"""What the documentation says of every call: errors, bodies that are no JSON, and examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lipstream.server.schemas import ErrorBody

if TYPE_CHECKING:
    from fastapi import FastAPI

WORDS = {
    400: "The request or its file cannot be used.",
    401: "The token is missing or wrong.",
    403: "The Host or the Origin is not allowed.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    409: "Not in this state.",
    413: "Too large.",
    415: "Of the wrong type.",
    422: "A field is missing or has an impossible value.",
    429: "Too many requests.",
    503: "No room now.",
}
ALWAYS = (401, 403, 429)

ERROR = {"schema": {"$ref": "#/components/schemas/ErrorBody"}}
FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")  # which nobody ever sees here

Responses = dict[int | str, dict[str, Any]]


def error_responses(*statuses: int, public: bool = False) -> Responses:
    """Documentation of these error_responses and of those that any call may meet."""
    usual = (403,) if public else ALWAYS
    documented: Responses = {
        status: {"description": WORDS[status], "content": {"application/json": ERROR}}
        for status in sorted({*usual, *statuses})
    }
    for status in (429, 503):
        if status in documented:
            documented[status]["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }
    return documented


def body(media_type: str, example: str) -> dict[str, Any]:
    """`openapi_extra` of a call that takes text of `media_type`."""
    schema = {"type": "string", "minLength": 1}
    return {
        "requestBody": {
            "required": True,
            "content": {media_type: {"schema": schema, "example": example}},
        }
    }


def file_form(what: str, **fields: str) -> dict[str, Any]:
    """`openapi_extra` of a call that takes a file and text fields by multipart."""
    properties: dict[str, Any] = {
        "file": {"type": "string", "format": "binary", "description": what}
    }
    for name, description in fields.items():
        properties[name] = {"type": "string", "description": description}
    schema = {"type": "object", "properties": properties, "required": ["file"]}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


def content(media_type: str, description: str, **schema: Any) -> dict[str, Any]:
    """A response whose body is no JSON."""
    return {
        "description": description,
        "content": {media_type: {"schema": {"type": "string", **schema}}},
    }


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """`app.openapi` with our errors instead of FastAPI's."""
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generated()
            schemas: dict[str, Any] = document["components"]["schemas"]
            for name in FASTAPIS_OWN:
                schemas.pop(name, None)
            errors = ErrorBody.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(errors.pop("$defs"), ErrorBody=errors)
            for operations in document["paths"].values():
                for operation in operations.values():
                    invalid = operation["responses"].get("422", {})
                    if "HTTPValidationError" in str(invalid):  # of calls that take any text
                        del operation["responses"]["422"]
        assert app.openapi_schema is not None
        return app.openapi_schema

    return openapi
