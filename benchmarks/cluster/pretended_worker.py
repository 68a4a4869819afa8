"""A worker that only pretends: it opens sessions, tells its load, and shows nobody anything.

    python -m benchmarks.cluster.pretended_worker ID PLACES

Prints its address, then serves until it is ended.
"""

from __future__ import annotations

import secrets
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lipstream.server.http.uvicorn_server import address_of, bind


def application(worker: str, places: int) -> Starlette:
    """The calls that a front makes, and those of a session that idles."""
    opened: set[str] = set()

    async def load(request: Request) -> JSONResponse:
        known = {"sessions": len(opened), "sessions_max": places, "free": places - len(opened)}
        state = {"speaking": 0, "draining": False, "overloaded": False, "late_share": 0.0}
        return JSONResponse({"worker": worker, **known, **state})

    async def open_session(request: Request) -> JSONResponse:
        if len(opened) >= places:
            return JSONResponse({"error": {"code": "full", "message": "full."}}, 503)
        made = f"{secrets.token_hex(16)}-{worker}"
        opened.add(made)
        return JSONResponse({"id": made}, 201)

    async def session(request: Request) -> JSONResponse:
        known = request.path_params["id"] in opened
        return JSONResponse({"state": "waiting"}, 200 if known else 404)

    return Starlette(
        routes=[
            Route("/v1/load", load),
            Route("/v1/sessions", open_session, methods=["POST"]),
            Route("/v1/sessions/{id}", session),
        ]
    )


def main() -> None:
    worker, places = sys.argv[1:]
    with bind("127.0.0.1", 0) as bound:
        print(f"a worker is at {address_of(bound)} ", flush=True)
        config = uvicorn.Config(application(worker, int(places)), log_level="warning")
        uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
