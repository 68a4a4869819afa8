"""The description of the WebSockets: AsyncAPI 3.0, made from the messages that the code uses.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lipstream import __version__
from lipstream.server.api.audio_socket import DEFAULT_RATE, MAX_MESSAGE_BYTES, RATES
from lipstream.server.api.socket_messages import CLIENT_MESSAGES_BY_TYPE, SERVER_EVENTS_BY_TYPE

DESCRIPTION = """\
Speech goes in as PCM or as text to say, events come back. Open a session with `POST /v1/sessions`;
its `audio_url` is the address, and its `events_url` that of the events alone. Where the server has
a token, send it or the session's own as `Authorization: Bearer TOKEN`; browsers, which cannot set
headers of a WebSocket, as the subprotocol `bearer.TOKEN`.

Close codes: 1001 the session has ended; 1007 text that is no UTF-8; 1008 replaced by a newer \
socket, or misused; 1009 a message too large; 1012 the server is being stopped.
"""
PCM = (
    f"Sound: signed 16-bit little-endian, mono, at `sample_rate`, cut anywhere; at most "
    f"{MAX_MESSAGE_BYTES} bytes a message. The first one opens an utterance. Send as fast as you "
    "like: once 60 s wait, the socket is not read until there is room."
)
RATE = {
    "type": "string",
    "enum": [str(rate) for rate in RATES],
    "default": DEFAULT_RATE,
    "description": "Of the sound that is sent, in Hz.",
}
REF = "#/components/schemas/{model}"


def asyncapi_document() -> dict[str, Any]:
    """The document behind `/asyncapi.json`."""
    sent, received = CLIENT_MESSAGES_BY_TYPE, SERVER_EVENTS_BY_TYPE
    messages = {
        "pcm": {
            "title": "PCM",
            "summary": PCM,
            "contentType": "application/octet-stream",
            "payload": {"type": "string", "format": "binary"},
        },
        **{f"send_{kind}": _message(kind, model) for kind, model in sent.items()},
        **{f"receive_{kind}": _message(kind, model) for kind, model in received.items()},
    }
    models = [*sent.values(), *received.values()]
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=REF)
    followed = [f"receive_{kind}" for kind in received if kind != "queued"]
    ours = ["pcm", *(f"send_{kind}" for kind in sent)]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "lipstream: speech by WebSocket", "version": __version__}
        | {"description": DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {
            "audio": _channel("audio", messages, sample_rate=RATE),
            "events": _channel("events", [name for name in messages if name in followed]),
        },
        "operations": {  # of the application that is described: the server
            "speak": _operation("receive", "audio", "What a client sends.", ours),
            "listen": _operation(
                "send",
                "audio",
                "What comes back, of all utterances of the session.",
                [f"receive_{kind}" for kind in received],
            ),
            "follow": _operation(
                "send",
                "events",
                "The same for who only listens; several may.",
                followed,
            ),
        },
        "components": {
            "messages": messages,
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _message(kind: str, model: type[BaseModel]) -> dict[str, Any]:
    return {
        "name": kind,
        "title": kind,
        "summary": " ".join((model.__doc__ or "").split()),
        "payload": {"$ref": REF.format(model=model.__name__)},
    }


def _channel(name: str, messages: Iterable[str], **query: dict[str, Any]) -> dict[str, Any]:
    binding = {"method": "GET", "query": {"type": "object", "properties": query}}
    return {
        "address": f"/v1/sessions/{{session_id}}/{name}",
        "parameters": {"session_id": {"description": "The `id` of a session."}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"ws": {**binding, "bindingVersion": "0.1.0"}},
    }


def _operation(action: str, channel: str, summary: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
        "security": [{"$ref": "#/components/securitySchemes/token"}],
    }
