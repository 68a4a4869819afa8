"""The server as one ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

from fastapi import FastAPI

from lipstream import __version__
from lipstream.avatar.avatar import Avatar
from lipstream.engine import Engine
from lipstream.live.cancellation import cancel_until_ended
from lipstream.live.clock import Clock, MonotonicClock
from lipstream.server import errors as error_responses
from lipstream.server.admission import Capacity, usable_cores
from lipstream.server.api.audio_socket import audio_routes
from lipstream.server.api.avatars import avatar_routes
from lipstream.server.api.microphone_socket import microphone_routes
from lipstream.server.api.openapi import token_dependencies
from lipstream.server.api.public import page_files, page_routes, public_paths, public_routes
from lipstream.server.api.say import say_routes
from lipstream.server.api.session_events import event_routes
from lipstream.server.api.sessions import session_routes, speech_routes
from lipstream.server.api.whep import whep_routes
from lipstream.server.avatars.decoders import Decoders
from lipstream.server.avatars.registry import AvatarRegistry
from lipstream.server.avatars.stores.base import AvatarStore
from lipstream.server.avatars.stores.opening import open_store
from lipstream.server.dialects.liveavatar.edge import LiveAvatarCredentials
from lipstream.server.dialects.liveavatar.routes import liveavatar_routes
from lipstream.server.dialects.rooms.anam import anam_routes
from lipstream.server.dialects.rooms.bithuman import bithuman_routes
from lipstream.server.dialects.simli.edge import SimliCredentials, SimliRefusals
from lipstream.server.dialects.simli.routes import simli_routes
from lipstream.server.measured_synthesizer import MeasuredSynthesizer
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.metrics import Metrics
from lipstream.server.security.access import AccessPolicy
from lipstream.server.security.cross_origin import CrossOrigin
from lipstream.server.security.middleware import SecurityMiddleware
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.settings import ServeSettings
from lipstream.server.supervisor import Supervisor
from lipstream.server.webhooks.sender import WebhookSender
from lipstream.speech.synthesis.base import Synthesizer

log = logging.getLogger("lipstream.server")

DESCRIPTION = (
    "Speech in, a talking face out: open a session, connect a viewer by WHEP, and send speech by "
    "WebSocket, as a file or through the viewer's microphone, or text to say. Where the server has "
    "a token, every call but the public ones needs `Authorization: Bearer TOKEN`; a WebSocket may "
    "send it as the subprotocol `bearer.TOKEN`. The `token` of a session opens that session's own "
    "calls, from a page of any origin: it is what a backend may hand to a browser."
)


def create_app(
    settings: ServeSettings,
    engine: Engine | None = None,
    avatars: Mapping[str, Avatar] | None = None,
    *,
    synthesizer: Synthesizer | None = None,
    store: AvatarStore | None = None,
    runtime: MediaRuntime | None = None,
    clock: Clock | None = None,
) -> FastAPI:
    """The server for `engine`, which shows `avatars` by their ids and whatever users upload, and
    says text with `synthesizer`, which is closed at the application's shutdown, as is the `store`
    that keeps uploads, by default that of the settings.

    All that runs in the background lives from the application's startup to its shutdown.
    `app.state.manager` is the `SessionManager`. Tests give a `runtime` instead of an engine.
    """
    if runtime is None:
        assert engine is not None, "an engine or a runtime is needed"
        runtime = MediaRuntime(engine, settings)
    clock = clock or MonotonicClock()
    metrics = Metrics()
    recorded = settings.record is not None
    capacity = Capacity(settings.max_sessions, settings.cores, runtime.parallelism, recorded)
    manager = SessionManager(settings, runtime, capacity, metrics, clock)
    webhooks: WebhookSender | None = None
    if settings.webhook is not None and settings.webhook_secret is not None:
        webhooks = WebhookSender(settings.webhook, settings.webhook_secret, metrics.webhook)
        manager.on_event = webhooks.put
    supervisor = Supervisor(manager)
    if synthesizer is not None:
        synthesizer = MeasuredSynthesizer(synthesizer, metrics, clock)
    decoders = Decoders(settings.cores or usable_cores())
    registry = AvatarRegistry(manager, decoders, store or open_store(settings))
    metrics.watch_runtime(runtime, capacity.lag)
    metrics.describe(__version__, runtime.backend)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        runtime.start()
        tasks: list[asyncio.Task[None]] = []
        try:
            await registry.open(avatars or {})
            watches = (manager.watch, supervisor.watch, capacity.lag.watch)
            for watch in (*watches, registry.remeasure, registry.follow):
                tasks.append(asyncio.create_task(watch(), name=watch.__qualname__))
                tasks[-1].add_done_callback(_log_failure)
            if webhooks is not None:
                webhooks.start().add_done_callback(_log_failure)
            yield
        finally:
            await cancel_until_ended(tasks)
            await manager.close_all("stopped")
            if webhooks is not None:
                await webhooks.close()
            if synthesizer is not None:
                await synthesizer.close()
            await registry.close()
            await runtime.close()

    app = FastAPI(
        title="lipstream",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.manager, app.state.registry = manager, registry
    _add_routes(app, manager, registry, decoders, synthesizer)
    app.router.default = error_responses.nothing_here
    error_responses.install(app, metrics.refused)
    _add_middleware(app, manager)
    return app


def _add_routes(
    app: FastAPI,
    manager: SessionManager,
    registry: AvatarRegistry,
    decoders: Decoders,
    synthesizer: Synthesizer | None,
) -> None:
    token = token_dependencies(manager.settings)
    app.include_router(avatar_routes(registry, decoders), dependencies=token)
    app.include_router(session_routes(manager, registry), dependencies=token)
    app.include_router(speech_routes(manager, decoders), dependencies=token)
    app.include_router(say_routes(manager, synthesizer), dependencies=token)
    app.include_router(whep_routes(manager, registry), dependencies=token)
    app.include_router(audio_routes(manager, synthesizer))
    app.include_router(event_routes(manager))
    app.include_router(microphone_routes(manager))
    app.include_router(simli_routes(manager, registry))
    app.include_router(anam_routes(manager, registry))
    app.include_router(liveavatar_routes(manager, registry))
    app.include_router(bithuman_routes(manager, registry))
    app.include_router(public_routes(manager, synthesizer))  # last in the documentation
    app.include_router(page_routes())


def _add_middleware(app: FastAPI, manager: SessionManager) -> None:
    """Check every request; around that, pages of other origins may read refusals too, and what a
    dialect says in its own way is read as ours."""
    settings, on_refused = manager.settings, manager.metrics.refused
    access = AccessPolicy(settings, manager.clock, public_paths(), manager.tokens)
    app.add_middleware(
        SecurityMiddleware,
        access=access,
        uploads={"/v1/avatars": settings.uploads.body, "/speech": settings.uploads.body},
        on_refused=on_refused,
    )
    app.add_middleware(CrossOrigin, origins=access.origins, files=page_files())
    app.add_middleware(SimliRefusals)
    app.add_middleware(SimliCredentials, tokens=manager.tokens)
    app.add_middleware(LiveAvatarCredentials, tokens=manager.tokens)


def _log_failure(task: asyncio.Task[None]) -> None:
    """Say that what runs until it is cancelled has raised, which is a bug."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s has failed", task.get_name(), exc_info=error)
