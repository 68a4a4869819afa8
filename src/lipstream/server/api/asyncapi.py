"""The description of the WebSockets: AsyncAPI 3.0, made from the messages that the code uses.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lipstream import __version__
from lipstream.server.api import audio_socket, microphone_socket
from lipstream.server.api.socket_messages import (
    CLIENT_MESSAGES_BY_TYPE,
    MICROPHONE_EVENTS_BY_TYPE,
    SERVER_EVENTS_BY_TYPE,
)

DESCRIPTION = """\
Speech goes in as PCM or as text to say, events come back. Open a session with `POST /v1/sessions`;
its `audio_url` is the address, its `events_url` that of the events alone, and its `microphone_url`
that of what the viewer says. Where the server has a token, send it or the session's own as
`Authorization: Bearer TOKEN`; browsers, which cannot set headers of a WebSocket, as the subprotocol
`bearer.TOKEN`.

Close codes: 1001 the session has ended; 1007 text that is no UTF-8; 1008 replaced by a newer \
socket, not read, or misused; 1009 a message too large; 1012 the server is being stopped.
"""
PCM = (
    f"Sound: signed 16-bit little-endian, mono, at `sample_rate`, cut anywhere; at most "
    f"{audio_socket.MAX_MESSAGE_BYTES} bytes a message. The first one opens an utterance. Send as "
    "fast as you like: once 60 s wait, the socket is not read until there is room."
)
VOICE = (
    "Sound: signed 16-bit little-endian, mono, at `sample_rate`, from when the viewer switches the "
    "microphone on, cut anywhere. Once a program has opened this socket, the avatar does not speak "
    "what the viewer says in this session. Who leaves 20 s of it unread is closed."
)
REF = "#/components/schemas/{model}"


def asyncapi_document() -> dict[str, Any]:
    """The document behind `/asyncapi.json`."""
    sent, received = CLIENT_MESSAGES_BY_TYPE, SERVER_EVENTS_BY_TYPE
    heard = MICROPHONE_EVENTS_BY_TYPE
    messages = {
        "pcm": _sound(PCM),
        **{f"send_{kind}": _message(kind, model) for kind, model in sent.items()},
        **{f"receive_{kind}": _message(kind, model) for kind, model in received.items()},
        "voice": _sound(VOICE),
        **{f"microphone_{kind}": _message(kind, model) for kind, model in heard.items()},
    }
    models = [*sent.values(), *received.values(), *heard.values()]
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=REF)
    followed = [f"receive_{kind}" for kind in received if kind != "queued"]
    ours = ["pcm", *(f"send_{kind}" for kind in sent)]
    theirs = [f"receive_{kind}" for kind in received]
    voice = ["voice", *(f"microphone_{kind}" for kind in heard)]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "lipstream: speech by WebSocket", "version": __version__}
        | {"description": DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {
            "audio": _channel(
                "audio",
                [*ours, *theirs],
                sample_rate=_rate(audio_socket.RATES, audio_socket.DEFAULT_RATE),
            ),
            "events": _channel("events", followed),
            "microphone": _channel(
                "microphone",
                voice,
                sample_rate=_rate(microphone_socket.RATES, microphone_socket.DEFAULT_RATE),
            ),
        },
        "operations": {  # of the application that is described: the server
            "speak": _operation("receive", "audio", "What a client sends.", ours),
            "listen": _operation(
                "send",
                "audio",
                "What comes back, of all utterances of the session.",
                theirs,
            ),
            "follow": _operation(
                "send",
                "events",
                "The same for who only listens; several may.",
                followed,
            ),
            "hear": _operation("send", "microphone", "What the viewer says.", voice),
        },
        "components": {
            "messages": messages,
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _sound(summary: str) -> dict[str, Any]:
    return {
        "title": "PCM",
        "summary": summary,
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary"},
    }


def _rate(rates: Iterable[int], default: int) -> dict[str, Any]:
    return {
        "type": "string",
        "enum": [str(rate) for rate in rates],
        "default": str(default),
        "description": "Of the sound, in Hz.",
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
