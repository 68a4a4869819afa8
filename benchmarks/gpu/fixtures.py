"""The parts of the benchmark that need PyTorch, on one set of lazily built networks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from benchmarks.gpu.baseline import open_loop, run_together
from benchmarks.gpu.ceilings import Ceiling, measure_ceilings, peak_tflops
from benchmarks.gpu.contenders import (
    COMPILED_BATCHES,
    OURS,
    PLAIN,
    PLANES,
    TURBO,
    Contender,
    exact_networks,
    our_contender,
    plain_contender,
    try_compiled,
    turbo_networks,
)
from benchmarks.gpu.equality import check_equality
from benchmarks.gpu.live_loop import LiveLoop
from benchmarks.gpu.renderer_stub import RendererStub, open_compositor
from benchmarks.gpu.report import Report
from benchmarks.gpu.response_latency import ObservedScheduler, TrackedClient
from benchmarks.gpu.synthetic_workload import PUBLISHED, TINY, Workload, half, make_workload
from benchmarks.gpu.throughput import Speed, measure_speeds, utilisation
from lipstream.bench.device_timing import count_flops
from lipstream.bench.sessions import (
    LoadResult,
    LoadSetup,
    can_encode,
    find_max_sessions,
    run_load,
)
from lipstream.engine import Engine
from lipstream.rendering.base import PixelFormat
from lipstream.rendering.musetalk.optimizations.cuda_graphs import cudnn_autotune
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from lipstream.rendering.registry import Backend
from lipstream.speech.musetalk.audio_windows import AudioWindowEncoder
from lipstream.timeline import FPS

PUBLISHED_BATCHES = (4, 8, 20)  # of the live script, of LiveTalking's kind, and offline
ROUNDS = 7
TOGETHER = 4  # sessions of the published way at once
LOOP_ROUNDS = 3
LOOP_FRAMES = 640  # of each loop in a round: the first and the last batch overlap with nothing
MAX_SESSIONS = 128  # that are tried
PACKET_MS = 20

if TYPE_CHECKING:
    from lipstream.bench.throughput import Loop  # not at run time: it imports PyAV

Key: TypeAlias = tuple[str, int]  # contender and size of batch


class Fixtures:
    """Networks, renderers and the measurements that share them."""

    def __init__(
        self, device: str, tiny: bool, batches: tuple[int, ...], seconds: float, baseline: bool
    ) -> None:
        self.device = torch.device(device)
        if self.device.index is not None:
            torch.cuda.set_device(self.device)
        if tiny and self.device.type == "cpu":
            # Threads that wait for each other take longer than what there is to compute.
            torch.set_num_threads(1)
        self.tiny, self.batches, self.seconds, self.baseline = tiny, batches, seconds, baseline
        self.dtype = str(half(self.device)).removeprefix("torch.")
        self._speeds: list[Speed] = []
        self._fps = 0.0  # of the fastest whole loop

    @cached_property
    def work(self) -> Workload:
        return make_workload(TINY if self.tiny else PUBLISHED, self.device)

    @cached_property
    def plain(self) -> Contender:
        return plain_contender(self.work)

    @cached_property
    def exact(self) -> MuseTalkNetworks:
        return exact_networks(self.work)

    @cached_property
    def ours(self) -> Contender:
        return our_contender(self.work, self.exact, self.batches)

    @cached_property
    def offline(self) -> RendererStub:
        """The renderer of files: pictures are RGB, as the published way has them."""
        return self._open_renderer("rgb24")

    @cached_property
    def live(self) -> RendererStub:
        """The renderer of live sessions: pictures are I420, which video encoders take."""
        return self._open_renderer("i420")

    @cached_property
    def found_ceilings(self) -> list[Ceiling]:
        return measure_ceilings(self.device, self.tiny)

    def ceilings(self, report: Report) -> list[dict[str, object]]:
        """Records of the device's limits."""
        return [ceiling.record() for ceiling in self.found_ceilings]

    def equality(self, report: Report) -> list[dict[str, object]]:
        """Records of the comparison of ours with the plain networks."""
        batch = min(4 if self.tiny else 8, max(self.batches))
        # cuDNN keeps what it chose for a shape: chosen badly here, the baseline would be timed so.
        with cudnn_autotune():
            checks = check_equality(self.work, self.plain, self.ours, self.offline, batch)
        for check in checks:
            if not check.equal:
                report.failed.append(
                    f"lipstream paints something else ({check.name}: {check.value:.3g} is above "
                    f"{check.limit:.3g})"
                )
        return [check.record() for check in checks]

    def throughput(self, report: Report) -> dict[str, Any]:
        """Frames per second, of the networks alone and from speech to finished frames."""
        contenders = [self.plain, self.ours] if self.baseline else [self.ours]
        if self.baseline:
            compiled: Contender | str = "for GPUs, in batches of 8"
            if self.device.type == "cuda" and set(COMPILED_BATCHES) & set(self.batches):
                compiled = try_compiled(self.work)
            if isinstance(compiled, Contender):
                contenders.insert(1, compiled)
            else:
                report.excluded.append(f"the compiled baseline (a'): {compiled}")
        turbo = turbo_networks(self.work, self.exact)
        contenders.append(our_contender(self.work, turbo, (max(self.batches),), TURBO))
        self._speeds = list(measure_speeds(self.work, contenders, self.batches, ROUNDS))
        return {
            "speeds": [speed.record() for speed in self._speeds],
            "loops": self._loops(),
            "utilisation": self._utilisation(),
            "facts": {contender.name: contender.facts for contender in contenders},
            "memory of all contenders together, GB": self._memory(),
        }

    def sessions(self, report: Report) -> dict[str, Any]:
        """Records of the live sessions that the device holds, encoded as video or not."""
        if not self._fps:
            self._fps = self._fps_of(LiveLoop(self.live, max(self.batches)))
        ceiling = 1 if self.tiny else min(int(1.25 * self._fps / float(FPS)) + 1, MAX_SESSIONS)
        encoder = AudioWindowEncoder.live(self.exact.speech, FPS)
        batch = max(self.batches)
        backend = Backend("measured", encoder, self.live, FPS, batch, "a benchmark")
        setup = LoadSetup(
            Engine(backend),
            self.work.avatar,
            warm_up_s=1.5 if self.tiny else 5.0,
            scheduler=ObservedScheduler,
            client=TrackedClient,
        )
        ways = {"not encoded": False}
        if can_encode():
            ways["encoded as H.264"] = True
        else:
            report.excluded.append("encoding video, which needs the extra `server`")
        tried: list[LoadResult] = []
        largest = {}
        for name, encoded in ways.items():
            results = list(find_max_sessions(setup, ceiling, self.seconds, encoded))
            tried += results
            held = results[-1].sessions if results[-1].held else 0
            largest[name] = held
            if held:  # the same in the small packets that speech services send
                packets = replace(setup, chunk_ms=PACKET_MS)
                tried.append(asyncio.run(run_load(packets, held, self.seconds, encoded)))
        return {"tried": [result.record() for result in tried], "most": largest}

    def _open_renderer(self, pixel_format: PixelFormat) -> RendererStub:
        compositor = open_compositor(self.work, self.exact, max(self.batches), pixel_format)
        return RendererStub(self.work, self.exact, compositor)

    def _loops(self) -> list[dict[str, object]]:
        """Whole loops by turns: the published one as it may be run, ours at two batch sizes."""
        short = self.tiny or self.device.type == "cpu"
        # The same threads in all rounds: cuDNN searches anew in every thread.
        with ThreadPoolExecutor(TOGETHER, "published") as pool, cudnn_autotune():
            loops = self._open_loops(short, pool)
            rates: dict[Key, list[float]] = {key: [] for key in loops}
            for turn in range(1 + (1 if short else LOOP_ROUNDS)):
                for key, loop in loops.items():
                    self.work.synchronize()
                    made, ms = loop(8 if short else LOOP_FRAMES)
                    if turn:  # the first round warms up
                        rates[key].append(1000 * made / ms)
        middle = {key: median(found) for key, found in rates.items()}
        own = {key: fps for key, fps in middle.items() if key[0] in (OURS, PLANES)}
        self._fps = max(own.values())
        # Of the baseline's batch sizes the one that is best for it counts.
        theirs = max((fps for key, fps in middle.items() if key not in own), default=None)
        return [
            {
                "contender": name,
                "batch": batch,
                "fps": middle[name, batch],
                "worst": min(rates[name, batch]),
                "best": max(rates[name, batch]),
                "ratio": None if theirs is None else middle[name, batch] / theirs,
            }
            for name, batch in loops
        ]

    def _open_loops(self, short: bool, pool: ThreadPoolExecutor) -> Mapping[Key, Loop]:
        loops: dict[Key, Loop] = {}
        if self.baseline:
            networks = self.plain.networks
            for batch in PUBLISHED_BATCHES[:1] if short else PUBLISHED_BATCHES:
                loops[PLAIN, batch] = open_loop(self.work, networks, batch).run
            many = [open_loop(self.work, networks, 4) for _ in range(TOGETHER)]
            loops[f"{PLAIN}, {TOGETHER} at once", 4] = partial(run_together, many, pool)
        for batch in sorted({min(8, max(self.batches)), max(self.batches)}):
            loops[OURS, batch] = LiveLoop(self.offline, batch).run
        loops[PLANES, max(self.batches)] = LiveLoop(self.live, max(self.batches)).run
        return loops

    def _fps_of(self, loop: LiveLoop) -> float:
        """Frames per second of the second of two short runs."""
        loop.run(2 * loop.batch)
        made, ms = loop.run((4 if self.device.type == "cpu" else 16) * loop.batch)
        return 1000 * made / ms

    def _utilisation(self) -> list[dict[str, object]]:
        """Of each contender's fastest batch size, as a share of the matrix product measured."""
        peak = peak_tflops(self.found_ceilings, half(self.device))
        assert peak is not None
        nominal = self._flops(self.work.networks)
        # The counter does not know the layers that are packed for half precision on a CPU.
        exact = exact_networks(self.work, torch.float32)
        executed = {
            OURS: self._flops(exact),
            TURBO: self._flops(turbo_networks(self.work, exact)),
        }
        rows = []
        for name in dict.fromkeys(speed.contender for speed in self._speeds):
            fastest = min((s for s in self._speeds if s.contender == name), key=lambda s: s.ms)
            row = utilisation(fastest, nominal, executed.get(name, nominal), peak)
            rows.append(row.record())
        return rows

    def _flops(self, networks: MuseTalkNetworks) -> float:
        return count_flops(networks, *self.work.inputs([0], networks.dtype))

    def _memory(self) -> float | None:
        if self.device.type != "cuda":
            return None
        return round(torch.cuda.max_memory_reserved(self.device) / 1e9, 2)
