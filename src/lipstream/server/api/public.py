"""Routes that need no token: the page, the documentation, health and configuration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from lipstream import __version__
from lipstream.server.api.asyncapi import asyncapi_document
from lipstream.server.api.openapi import content, error_responses, token_dependencies
from lipstream.server.errors import ApiError, without_folders
from lipstream.server.schemas.service import Config, Health, Load, Readiness
from lipstream.server.security.content_policy import policy_for
from lipstream.server.sessions.manager import SessionManager
from lipstream.speech.synthesis.base import Synthesizer

PAGE = Path(__file__).parents[1] / "page"
EXAMPLES = "examples/"  # pages that are one file each, with scripts and styles of their own
SWAGGER_PATHS = ("/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js")
DESCRIPTIONS = ("/openapi.json", "/asyncapi.json")
PLAIN = ("/", "/docs", *SWAGGER_PATHS, *DESCRIPTIONS, "/healthz", "/readyz", "/v1/config")
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def page_files() -> dict[str, str]:
    """Addresses of the page's files: {"/style.css": "style.css"}."""
    files = (path.relative_to(PAGE).as_posix() for path in sorted(PAGE.rglob("*")))
    return {f"/{name}": name for name in files if (PAGE / name).is_file()}


def public_paths() -> list[str]:
    """Everything that needs no token."""
    return [*PLAIN, *page_files()]


def public_routes(manager: SessionManager, synthesizer: Synthesizer | None) -> APIRouter:
    """Health, configuration, metrics and load; the last two need the token."""
    router = APIRouter(tags=["Server"])

    @router.get("/healthz", summary="Liveness", responses=error_responses(public=True))
    async def healthz() -> Health:
        return Health()

    @router.get(
        "/readyz",
        summary="Readiness for new sessions",
        description="503 while a fault is being repaired, and once the server is about to stop.",
        responses=error_responses(503, public=True),
    )
    async def readyz() -> Readiness:
        if manager.draining:
            raise ApiError(503, "the server is about to stop.", "stopping")
        if (fault := manager.runtime.fault) is not None:
            raise ApiError(503, without_folders(fault), "fault")
        return Readiness()

    @router.get(
        "/v1/config", summary="Configuration for pages", responses=error_responses(public=True)
    )
    async def config() -> Config:
        return Config(
            version=__version__,
            backend=manager.runtime.backend,
            reason=without_folders(manager.runtime.reason),
            max_sessions=manager.capacity.sessions,
            auth=manager.settings.token is not None,
            say=synthesizer is not None,
            voices=[] if synthesizer is None else list(synthesizer.voices),
        )

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={**error_responses(), 200: content("text/plain", "Prometheus' text format.")},
        dependencies=token_dependencies(manager.settings),
    )
    async def prometheus() -> Response:
        return Response(manager.metrics.text(), media_type=PROMETHEUS)

    @router.get(
        "/v1/load",
        summary="Load, for whoever places sessions",
        responses=error_responses(),
        dependencies=token_dependencies(manager.settings),
    )
    async def load() -> Load:
        return manager.load

    return router


def page_routes() -> APIRouter:
    """The page and the documentation. A file that is added later is seen after a restart."""
    router = APIRouter(include_in_schema=False)
    files = StaticFiles(directory=PAGE)
    swagger = StaticFiles(packages=[("fastapi_offline", "static")])

    def serving(source: StaticFiles, name: str) -> Callable[[Request], Awaitable[Response]]:
        headers = {"Cache-Control": "no-cache"}  # ask whether it has changed
        if name.startswith(EXAMPLES):
            text = (PAGE / name).read_text(encoding="utf-8")
            headers["Content-Security-Policy"] = policy_for(text)

        async def serve(request: Request) -> Response:
            response = await source.get_response(name, request.scope)
            response.headers.update(headers)
            return response

        return serve

    @router.api_route("/asyncapi.json", methods=["GET", "HEAD"])
    async def asyncapi() -> JSONResponse:
        return JSONResponse(asyncapi_document())

    pages = {"/": "index.html", "/docs": "docs.html"}
    served = {path: (files, name) for path, name in (page_files() | pages).items()}
    served |= {path: (swagger, path.rpartition("/")[2]) for path in SWAGGER_PATHS}
    for path, (source, name) in served.items():
        # A plain route: FastAPI would look for parameters and schemas in each of them.
        router.add_route(path, serving(source, name), methods=["GET"], include_in_schema=False)
    return router
