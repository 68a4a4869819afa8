"""The front as one ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lipstream.cluster.front.http_proxy import HttpProxy
from lipstream.cluster.front.merged import MergedAnswers
from lipstream.cluster.front.metrics import FrontMetrics
from lipstream.cluster.front.upstream import Upstream, no_workers
from lipstream.cluster.front.watch import LoadWatch
from lipstream.cluster.front.websocket_proxy import Connect, WebSocketProxy, connect_worker
from lipstream.cluster.workers import WorkerPool
from lipstream.live.cancellation import cancel_until_ended
from lipstream.live.clock import Clock, MonotonicClock
from lipstream.server import errors as error_responses
from lipstream.server.api.public import PROMETHEUS, page_files
from lipstream.server.dialects.simli.edge import SimliRefusals
from lipstream.server.errors import ApiError
from lipstream.server.security.access import ADMITTED, AccessPolicy
from lipstream.server.security.cross_origin import CrossOrigin
from lipstream.server.security.middleware import SafeSend, SecurityMiddleware
from lipstream.server.security.session_tokens import SessionTokens
from lipstream.server.settings import ServeSettings

PUBLIC = ("/healthz", "/readyz")
CLOSED = ("/metrics", "/v1/cluster", "/v1/load")

log = logging.getLogger("lipstream.cluster")


class Front:
    """Answers what concerns all workers, and passes everything else on to one of them."""

    def __init__(
        self,
        settings: ServeSettings,
        pool: WorkerPool,
        *,
        upstream: Upstream | None = None,
        connect: Connect = connect_worker,
        clock: Clock | None = None,
    ) -> None:
        """`settings` are those of the front; its token is that of the workers too."""
        self.settings, self.pool = settings, pool
        self.clock = clock or MonotonicClock()
        self.metrics = FrontMetrics()
        self._upstream = upstream or Upstream()
        self.watch = LoadWatch(pool, self._upstream, settings.token, self.clock)
        self.http = HttpProxy(self.watch, self._upstream, self.metrics, settings.uploads.body)
        self.sockets = WebSocketProxy(self.watch, self.http, connect)
        self._merged = MergedAnswers(self.watch, self._upstream)
        loads = self.watch.placement.loads
        self.metrics.gauge("workers", "Workers that answer.", lambda: len(loads()))
        self._access = AccessPolicy(settings, self.clock, PUBLIC, SessionTokens())
        self._own = self._own_routes()

    @property
    def draining(self) -> bool:
        """True once no session is placed any more."""
        return self.http.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self.http.draining = value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in (*PUBLIC, *CLOSED):
            await self._own(scope, receive, send)
            return
        if self._access.knows(scope, Headers(scope=scope)):
            scope[ADMITTED] = True  # before its body is here: it keeps its place meanwhile
        try:
            if scope["type"] == "websocket":
                await self.sockets(scope, receive, send)
            elif self._merged.covers(scope["method"], scope["path"]):
                await self._merged(scope, receive, send)
            else:
                await self.http(scope, receive, send)
        except ApiError as refusal:
            self.metrics.refused(refusal.code)
            await self._refuse(refusal, scope, receive, send)

    async def _refuse(self, refusal: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer so that pages may read it that could have read a worker's answer."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await refusal.response()(scope, receive, SafeSend(send))

        if scope["type"] == "http":
            await SimliRefusals(self._cross_origin(answer))(scope, receive, send)
        elif "websocket.http.response" in scope.get("extensions", {}):
            await answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _cross_origin(self, app: ASGIApp) -> CrossOrigin:
        origins = (origin.rstrip("/").lower() for origin in self.settings.origins)
        return CrossOrigin(app, origins=frozenset(origins), files=page_files())

    def _own_routes(self) -> ASGIApp:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=self._lifespan)

        @app.get("/healthz")
        async def healthz() -> dict[str, str]:
            return {"status": "ok"}

        @app.get("/readyz")
        async def readyz() -> dict[str, str]:
            if self.draining:
                raise ApiError(503, "the server is about to stop.", "stopping")
            if not self.watch.ready:
                raise no_workers()
            return {"status": "ready"}

        @app.get("/metrics")
        async def prometheus() -> Response:
            return Response(self.metrics.text(), media_type=PROMETHEUS)

        @app.get("/v1/cluster")
        async def cluster() -> list[dict[str, Any]]:
            """Prometheus' http_sd: https://prometheus.io/docs/prometheus/latest/http_sd/"""
            known = self.watch.placement
            return [
                {"targets": [urlsplit(url).netloc], "labels": {"worker": worker}}
                for worker, url in self.watch.urls.items()
                if worker in known
            ]

        @app.get("/v1/load")
        async def load() -> dict[str, Any]:
            return self._load()

        app.router.default = error_responses.nothing_here
        error_responses.install(app, self.metrics.refused)
        access = self._access
        app.add_middleware(
            SecurityMiddleware, access=access, uploads={}, on_refused=self.metrics.refused
        )
        app.add_middleware(CrossOrigin, origins=access.origins, files=())
        return app

    def _load(self) -> dict[str, Any]:
        """The load of all workers together."""
        loads = self.watch.placement.loads().values()
        sums = ("sessions", "sessions_max", "free", "speaking")
        late = sum(load.late_share * load.sessions for load in loads)
        return {
            "worker": None,
            **{name: sum(getattr(load, name) for load in loads) for name in sums},
            "draining": self.draining,
            "overloaded": bool(loads) and all(load.overloaded for load in loads),
            "late_share": round(late / max(1, sum(load.sessions for load in loads)), 4),
        }

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        await self.watch.look()
        task = asyncio.create_task(self.watch.watch(), name="watch")
        try:
            yield
        finally:
            await cancel_until_ended([task])
            await self._upstream.close()
