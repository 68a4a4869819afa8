"""The real server with a fake backend and a voice that spells: prints its port, then serves.

    python -m tests.browser.server [--token TOKEN] [--origin ORIGIN] [--turn URL SECRET] [--beeps]
                                   [--puppet | --musetalk MODELS] NAME=PATH ...

`/probe/` is not part of the product: scripts that measure, and the resources of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lipstream.avatar.builder import open_avatar
from lipstream.config import AvatarConfig
from lipstream.engine import Engine
from lipstream.rendering.registry import Backend, open_backend
from lipstream.server.app import create_app
from lipstream.server.settings import ServeSettings
from tests.beeping_synthesizer import BeepingSynthesizer
from tests.browser.marker import marked_musetalk, marker_backend
from tests.fake_synthesizer import SpellingSynthesizer
from tests.leaks import descriptors

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
    )
    engine = Engine(_backend(options))
    avatars = {
        name: open_avatar(Path(path), AvatarConfig())
        for name, _, path in (given.partition("=") for given in options.avatars)
    }
    voice = BeepingSynthesizer() if options.beeps else SpellingSynthesizer()
    app = with_probe(create_app(settings, engine, avatars, synthesizer=voice))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        server = uvicorn.Server(uvicorn.Config(app, loop="asyncio", log_level="warning"))
        server.run(sockets=[listening])


def _backend(options: argparse.Namespace) -> Backend:
    if options.musetalk:
        return marked_musetalk(Path(options.musetalk))
    return open_backend("puppet") if options.puppet else marker_backend()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--token")
    parser.add_argument("--origin", action="append", default=[])
    parser.add_argument("--turn", nargs=2, metavar=("URL", "SECRET"))
    parser.add_argument("--beeps", action="store_true", help="say each word as a beep")
    parser.add_argument("--puppet", action="store_true")
    parser.add_argument("--musetalk", help="folder of weights; run on the processor")
    parser.add_argument("avatars", nargs="+")
    return parser.parse_args()


if __name__ == "__main__":
    main()
