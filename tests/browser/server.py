"""The real server with a fake backend and a voice that spells: prints its port, then serves.

    python -m tests.browser.server [--token TOKEN] [--origin ORIGIN] [--turn URL SECRET] [--beeps]
                                   [--puppet | --musetalk MODELS] NAME=PATH ...

Where the tests go through a front, it is one, before workers that are this program again.
`/probe/` is not part of the product: scripts that measure, and the resources of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lipstream.avatar.builder import open_avatar
from lipstream.cluster.front.app import Front
from lipstream.cluster.front.serving import serve_front
from lipstream.cluster.local_workers import LocalWorkers
from lipstream.config import AvatarConfig
from lipstream.engine import Engine
from lipstream.rendering.registry import Backend, open_backend
from lipstream.server.app import create_app
from lipstream.server.forced_exit import end_with_input
from lipstream.server.http.uvicorn_server import bind
from lipstream.server.settings import ServeSettings
from tests.beeping_synthesizer import BeepingSynthesizer
from tests.browser.marker import marked_musetalk, marker_backend
from tests.fake_synthesizer import SpellingSynthesizer
from tests.leaks import descriptors
from tests.server.known_cost import KnownCostRuntime
from tests.through_front import THROUGH_FRONT, WORKERS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

PROBE = Path(__file__).parent / "probe"


async def resources(request: Request) -> JSONResponse:
    """List tasks and threads of this process by name, and count its UDP sockets."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return JSONResponse(
        {
            "tasks": sorted(getattr(task.get_coro(), "__qualname__", "?") for task in tasks),
            "threads": sorted(thread.name for thread in threading.enumerate()),
            "udp": udp_sockets(),
        }
    )


def udp_sockets() -> int:
    """Count the descriptors of this process that are UDP sockets."""
    tables = [Path("/proc/self/net", name).read_text() for name in ("udp", "udp6")]
    inodes = {line.split()[9] for table in tables for line in table.splitlines()[1:]}
    return sum(f"socket:[{inode}]" in descriptors().values() for inode in inodes)


def with_probe(app: ASGIApp) -> ASGIApp:
    """Serve the probe beside `app`."""
    probe = Starlette(
        routes=[Route("/probe/resources", resources), Mount("/probe", StaticFiles(directory=PROBE))]
    )

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        beside = scope["type"] == "http" and scope["path"].startswith("/probe/")
        await (probe if beside else app)(scope, receive, send)

    return either


def main() -> None:
    options = _options()
    turn_url, turn_secret = options.turn or (None, None)
    settings = ServeSettings(
        token=options.token,
        origins=tuple(options.origin),
        max_sessions=1,
        rate=0,
        codec="vp8",
        turn_urls=(turn_url,) if turn_url else (),
        turn_secret=turn_secret,
        worker_id=options.worker_id,
        costs=options.costs,
        trusted_proxies=("127.0.0.1",) if options.worker_id else (),
    )
    if THROUGH_FRONT and not options.worker_id:
        _serve_workers(settings)
    else:
        _serve(settings, options)


def _serve_workers(settings: ServeSettings) -> None:
    """A front before several of this server, as `lipstream serve --workers` starts them."""

    def command(place: int, worker: str) -> Sequence[str]:
        own = ["--worker-id", worker, "--costs", costs]
        return [sys.executable, "-m", "tests.browser.server", *own, *sys.argv[1:]]

    local = LocalWorkers(WORKERS, command, lambda: None)
    with bind("127.0.0.1", 0) as bound, TemporaryDirectory() as costs:
        port = bound.getsockname()[1]
        front = Front(settings, local)
        serve_front(front, bound, 0, lambda: print(port, flush=True), local)


def _serve(settings: ServeSettings, options: argparse.Namespace) -> None:
    runtime = KnownCostRuntime(Engine(_backend(options)), settings)
    avatars = {
        name: open_avatar(Path(path), AvatarConfig())
        for name, _, path in (given.partition("=") for given in options.avatars)
    }
    voice = BeepingSynthesizer() if options.beeps else SpellingSynthesizer()
    app = with_probe(create_app(settings, None, avatars, synthesizer=voice, runtime=runtime))
    with bind("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        line = f"lipstream is at http://127.0.0.1:{port} (a worker)" if settings.worker_id else port
        config = uvicorn.Config(app, loop="asyncio", log_level="warning")
        AnnouncedServer(config, str(line)).run(sockets=[bound])


class AnnouncedServer(uvicorn.Server):
    """Prints a line once it answers."""

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._line, flush=True)
        if self._line.startswith("lipstream"):
            end_with_input()


def _backend(options: argparse.Namespace) -> Backend:
    if options.musetalk:
        return marked_musetalk(Path(options.musetalk))
    return open_backend("puppet") if options.puppet else marker_backend()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--token")
    parser.add_argument("--worker-id", help="for a worker behind a front")
    parser.add_argument("--costs", type=Path)
    parser.add_argument("--origin", action="append", default=[])
    parser.add_argument("--turn", nargs=2, metavar=("URL", "SECRET"))
    parser.add_argument("--beeps", action="store_true", help="say each word as a beep")
    parser.add_argument("--puppet", action="store_true")
    parser.add_argument("--musetalk", help="folder of weights; run on the processor")
    parser.add_argument("avatars", nargs="+")
    return parser.parse_args()


if __name__ == "__main__":
    main()
