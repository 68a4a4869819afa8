"""The server as one ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from fastapi import FastAPI

from lipstream import __version__
from lipstream.live.clock import MonotonicClock
from lipstream.server import errors as refusals
from lipstream.server.admission import Capacity
from lipstream.server.api.audio_socket import audio_routes
from lipstream.server.api.avatars import avatar_routes
from lipstream.server.api.openapi import describe
from lipstream.server.api.public import page_routes, public_paths, public_routes
from lipstream.server.api.sessions import session_routes
from lipstream.server.api.whep import whep_routes
from lipstream.server.avatars.store import Shelf
from lipstream.server.metrics import Telemetry
from lipstream.server.security.access import Access
from lipstream.server.security.middleware import Gate
from lipstream.server.sessions.manager import Lobby

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.engine import Engine
    from lipstream.live.clock import Clock
    from lipstream.server.interfaces import Stage
    from lipstream.server.settings import ServeSettings

DESCRIPTION = (
    "Speech in, a talking face out: open a session, connect a viewer by WHEP, and send speech by "
    "WebSocket, as a file or through the viewer's microphone. Where the server has a token, every "
    "call but the public ones needs `Authorization: Bearer TOKEN`; a WebSocket may send it as the "
    "subprotocol `bearer.TOKEN`."
)


def create_app(
    settings: ServeSettings,
    engine: Engine | None = None,
    avatars: Mapping[str, Avatar] | None = None,
    *,
    stage: Stage | None = None,
    clock: Clock | None = None,
) -> FastAPI:
    """The server for `engine`, which shows `avatars` by their ids and whatever users upload.

    All that runs in the background lives from the application's startup to its shutdown.
    `app.state.lobby` is the `Lobby`. Tests give a `stage` of their own instead of an engine.
    """
    if stage is None:
        from lipstream.server.media_runtime import LiveStage

        assert engine is not None, "an engine or a stage is needed"
        stage = LiveStage(engine, settings)
    clock = clock or MonotonicClock()
    telemetry, capacity = Telemetry(), Capacity(settings.max_sessions, lanes=stage.lanes)
    lobby = Lobby(settings, stage, capacity, telemetry, clock)
    shelf = Shelf(settings, stage, capacity, telemetry)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stage.start()
        watch = asyncio.create_task(lobby.watch(), name="lobby")
        try:
            await shelf.open(avatars or {})
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await lobby.close_all("stopped")
            await shelf.close()
            await stage.close()

    app = FastAPI(
        title="lipstream",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.lobby, app.state.shelf = lobby, shelf
    app.openapi = describe(app)  # type: ignore[method-assign]
    app.include_router(public_routes(settings, stage, capacity, lobby, telemetry))
    app.include_router(avatar_routes(shelf))
    app.include_router(session_routes(settings, lobby, shelf, stage, telemetry))
    app.include_router(whep_routes(lobby, shelf, stage))
    app.include_router(audio_routes(lobby))
    app.include_router(page_routes(app.openapi))
    refusals.install(app)
    app.add_middleware(
        Gate,
        access=Access(settings, clock, public_paths()),
        uploads={"/v1/avatars": settings.uploads.body, "/speech": settings.uploads.body},
        refused=lambda code: telemetry.refusals.labels(code).inc(),
    )
    return app
