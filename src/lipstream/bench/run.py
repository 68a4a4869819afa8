"""One run of `lipstream bench`: throughput, the distance to the hardware's limit, live sessions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.bench.machine import describe_gpu, describe_machine
from lipstream.bench.report import session_table, table
from lipstream.bench.sessions import LoadSetup, can_encode, find_max_sessions
from lipstream.bench.throughput import Loop, cpu_ms_per_frame, engine_loop, measure_loops
from lipstream.config import MuseTalkConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.errors import MissingError
from lipstream.rendering.opencv_threads import one_thread_per_picture
from lipstream.rendering.registry import open_backend
from lipstream.server.admission import usable_cores
from lipstream.timeline import FPS

EXAMPLE = Path("examples") / "portrait.png"
PUBLISHED_BATCHES = (4, 8, 20)  # of the published live script, of LiveTalking's kind, and offline
MAX_SESSIONS = 128  # that are tried
CPU_FRAMES = 100  # over which the processor time of a puppet's frame is taken
HEAD = ("speech to finished frames", "frames/s", "worst", "best", "ours over it", "of the limit")

Echo = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """The settings of a run."""

    backend: str = "auto"
    musetalk: MuseTalkConfig = MuseTalkConfig()
    avatar: Path | None = None  # None: the example of a checkout
    baseline: bool = True  # time MuseTalk's published loop in the same run
    seconds: float = 20.0  # for which each number of sessions is held
    max_sessions: int = MAX_SESSIONS


def run_bench(options: BenchOptions, echo: Echo) -> dict[str, Any]:
    """Measure, print each table when it is done, and return everything as plain values.

    MissingError for what is not installed, and the errors of backends and avatars.
    """
    runtime = RuntimeOptions(live=True, pixel_format="i420")
    backend = open_backend(
        options.backend, musetalk=options.musetalk, runtime=runtime, processes=usable_cores()
    )
    try:
        engine = Engine(backend)
        avatar = backend.renderer.prepare(open_avatar(find_portrait(options.avatar)))
        machine, gpu = describe_machine(), describe_gpu()
        where = (gpu or {}).get("name") or f"{machine['processor']}, {machine['cores']} cores"
        echo(f"lipstream {machine['lipstream']} on {where}")
        echo(f"backend: {backend.name} ({backend.reason})")
        echo(f"precision: {backend.precision or 'no networks'}\n")
        with one_thread_per_picture():
            loops, limit = _ways(options, engine, avatar)
            speeds = measure_loops(loops, options.seconds / 4)
        rows = [[s.name, s.fps, s.worst, s.best, s.ratio, s.fps / limit] for s in speeds]
        for line in table(HEAD, rows):
            echo(line)
        limit_sessions = limit / float(FPS)
        echo(f"limit of this hardware: {limit:.0f} frames/s, {limit_sessions:.1f} sessions\n")
        ceiling = min(math.ceil(1.25 * speeds[0].fps / float(FPS)), options.max_sessions)
        setup = LoadSetup(engine, avatar, warm_up_s=min(5.0, max(options.seconds, 1.5)))
        # The last result is the answer.
        results = list(find_max_sessions(setup, ceiling, options.seconds, can_encode()))
        sessions = [result.record() for result in results]
        for line in session_table(sessions):
            echo(line)
        held = results[-1].sessions if results[-1].held else 0
        share = held / limit_sessions
        nonfinite = backend.nonfinite_faces
        if nonfinite:
            echo(
                f"{nonfinite} faces were not finite: check the weights with "
                "`lipstream models verify`"
            )
        echo(f"{held} sessions with less than 1 % of the frames late, {share:.0%} of the limit")
    finally:
        backend.close()
    return {
        "machine": machine,
        "gpu": gpu,
        "backend": backend.name,
        "precision": backend.precision,
        "nonfinite_faces": nonfinite,
        "throughput": [asdict(speed) for speed in speeds],
        "limit_fps": limit,
        "sessions": {"tried": sessions, "held": held, "share_of_limit": share},
    }


def find_portrait(given: Path | None) -> Path:
    """The portrait to draw: `given`, or the example of a checkout. MissingError without either."""
    if given is not None:
        return given
    for folder in (Path.cwd(), Path(__file__).resolve().parents[3]):
        if (folder / EXAMPLE).exists():
            return folder / EXAMPLE
    raise MissingError("the benchmark needs a portrait; give one with --avatar.")


def _ways(options: BenchOptions, engine: Engine, avatar: Avatar) -> tuple[dict[str, Loop], float]:
    """The loops to time by name, the product's first, and the frames per second of the limit.

    The limit of a puppet is all cores drawing all the time; of MuseTalk it is the networks' FLOPs
    at the speed of a large matrix product.
    """
    if engine.backend.name == "puppet":
        alone = engine_loop(Engine(open_backend("puppet")), avatar)
        limit = 1000 * usable_cores() / cpu_ms_per_frame(alone, CPU_FRAMES)
        name = f"lipstream, {engine.backend.parallelism} processes"
        return {name: engine_loop(engine, avatar), "lipstream, this process": alone}, limit
    from lipstream.bench.published_loop import published_loops

    batches = PUBLISHED_BATCHES if options.baseline else PUBLISHED_BATCHES[:1]
    published, limit = published_loops(options.musetalk, avatar, batches)
    loops = published if options.baseline else {}
    return {"lipstream": engine_loop(engine, avatar)} | loops, limit
