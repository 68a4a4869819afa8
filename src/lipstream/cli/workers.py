"""`lipstream serve --workers`: the same command many times, behind one front."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lipstream.config import MuseTalkConfig
    from lipstream.server.settings import ServeSettings

FRONT_ADDRESS = "127.0.0.1"  # of the front, for its workers
MAX_WORKERS = 256  # behind one front of one machine


def count_of_workers(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    """A number, or None for auto."""
    text = value.strip()
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) > MAX_WORKERS:
        raise click.BadParameter(f"{value!r} is neither auto nor a number up to {MAX_WORKERS}")
    return int(text)


def serve_workers(
    context: click.Context,
    settings: ServeSettings,
    workers: int | None,
    backend: str,
    musetalk: MuseTalkConfig,
    log_format: str,
) -> None:
    """Serve with `workers` processes, None for as many as fit, until a signal comes."""
    from lipstream.cluster.front.app import Front
    from lipstream.cluster.front.serving import serve_front
    from lipstream.cluster.local_workers import LocalWorkers
    from lipstream.cluster.sizing import cuda_devices, share_machine
    from lipstream.server.admission import usable_cores
    from lipstream.server.forced_exit import forced_exit
    from lipstream.server.http.open_files import raise_open_files
    from lipstream.server.http.uvicorn_server import address_of, bind
    from lipstream.server.logging import logging_to_stderr

    devices = 0 if backend == "puppet" or musetalk.device is not None else cuda_devices()
    cores = settings.cores or usable_cores()
    shares = share_machine(workers, cores, devices, settings.max_sessions)
    raise_open_files(2 * settings.max_connections)  # each leads on to a worker
    state = context.find_root().obj
    given = [*state["arguments"], *(["--debug"] if state["debug"] else [])]
    with (
        bind(settings.host, settings.port) as bound,
        tempfile.TemporaryDirectory(prefix="lipstream-workers-") as shared,
        forced_exit(),
        logging_to_stderr(log_format),
    ):

        def command(place: int, worker: str) -> Sequence[str]:
            own = ["--workers", "0", "--supervised", "--worker-id", worker]
            own += ["--host", FRONT_ADDRESS, "--port", "0", "--front-host", settings.host]
            own += ["--trusted-proxy", FRONT_ADDRESS, "--cores", str(shares.cores)]
            own += ["--costs", str(settings.costs or Path(shared, "costs"))]
            if settings.data is None and settings.store_folder is None:
                own += ["--data", str(Path(shared, "avatars"))]
            if settings.max_sessions is not None:
                most, more = divmod(settings.max_sessions, shares.workers)
                own += ["--max-sessions", str(most + (place < more))]
            if (device := shares.device(place)) is not None:
                own += ["--device", device]
            return [sys.executable, "-m", "lipstream", *given, *own]

        local = LocalWorkers(shares.workers, command, lambda: front.metrics.restarts.inc())
        front = Front(settings, local)
        many = f"{shares.workers} {'worker' if shares.workers == 1 else 'workers'}"
        started = f"lipstream is at {address_of(bound)} (front: {many}, {shares.cores} cores each)"
        serve_front(front, bound, settings.drain_timeout_s, lambda: click.echo(started), local)
