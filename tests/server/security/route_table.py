"""Everything that the application answers to, from its own table of routes, and asking for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.routing import BaseRoute, Route, WebSocketRoute

from lipstream.server.api.public import SWAGGER_PATHS, page_files
from lipstream.server.app import create_app
from lipstream.server.settings import ServeSettings
from tests.server.app_client import AppClient
from tests.server.fake_runtime import FakeRuntime

# The page's files are public too, and are not listed one by one.
PUBLIC = {
    ("GET", "/openapi.json"),
    ("HEAD", "/openapi.json"),
    ("GET", "/asyncapi.json"),
    ("HEAD", "/asyncapi.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/v1/config"),
    ("OPTIONS", "/whep"),
    ("OPTIONS", "/v1/sessions/{session_id}/whep"),
}
SESSION = "/v1/sessions/{session_id}"
PICTURE = "/v1/avatars/{avatar_id}/picture"


def _leaves(found: list[BaseRoute]) -> Iterator[BaseRoute]:
    for route in found:
        # Newer versions of FastAPI keep a router that was included as it is.
        inner = getattr(getattr(route, "original_router", route), "routes", None)
        if inner:
            yield from _leaves(inner)
        else:
            yield route


def _routes() -> Iterator[tuple[str, str]]:
    files = {"/", "/docs", *SWAGGER_PATHS, *page_files()}
    for route in _leaves(create_app(ServeSettings(), runtime=FakeRuntime()).routes):
        if isinstance(route, WebSocketRoute):
            yield "WEBSOCKET", route.path
        else:
            assert isinstance(route, Route), f"{route} is of a kind this matrix does not know"
            if route.path not in files:
                for method in route.methods or ():
                    yield method, route.path


ROUTES = sorted(_routes())
CLOSED = [route for route in ROUTES if route not in PUBLIC]


def of_a_session(method: str, path: str) -> bool:
    """True for the routes that a session's token opens."""
    return path == SESSION or path.startswith(f"{SESSION}/") or (method, path) == ("GET", PICTURE)


async def ask(
    client: AppClient, method: str, path: str, headers: Mapping[str, str]
) -> tuple[int, Any]:
    """The status of the answer, 101 for an open WebSocket; and its error, None if there is none."""
    if method == "WEBSOCKET":
        socket = client.socket(path, **{name.lower(): value for name, value in headers.items()})
        if await socket.open():
            await socket.leave()
            return 101, None
        status, body = socket.status or 0, socket.body
    else:
        answer = await client.http.request(method, path, headers=headers)
        status, body = answer.status_code, answer.content
    if status < 400 or method == "HEAD":
        return status, None
    return status, json.loads(body)["error"]
