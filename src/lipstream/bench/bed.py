"""Everything that needs PyTorch, made when the first part asks for it and shared by all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from statistics import median
from typing import Any, TypeAlias

import torch

from lipstream.bench.baseline import PublishedLoop, run_alone, run_together
from lipstream.bench.encoding import encoders_there
from lipstream.bench.equality import check_equality
from lipstream.bench.loop import OurLoop
from lipstream.bench.report import Report
from lipstream.bench.sessions import Crowd, House, find_most, hold_crowd
from lipstream.bench.sides import (
    COMPILED_BATCHES,
    OURS,
    PLAIN,
    PLANES,
    TURBO,
    Side,
    count_flops,
    exact_networks,
    our_side,
    plain_side,
    try_compiled,
    turbo_networks,
)
from lipstream.bench.stage import Stage, open_painter
from lipstream.bench.throughput import Speed, measure_speeds, utilisation
from lipstream.bench.timing import (
    Ceiling,
    measure_ceilings,
    peak_tflops,
    quickest_convolutions,
    wait,
)
from lipstream.bench.workload import PUBLISHED, TINY, Workload, half, make_workload
from lipstream.rendering.musetalk.compositing.background import PixelFormat
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from lipstream.speech.musetalk.audio_windows import AudioWindowEncoder, recent
from lipstream.timeline import FPS

PUBLISHED_BATCHES = (4, 8, 20)  # of the live script, of LiveTalking's kind, and offline
ROUNDS = 7
TOGETHER = 4  # sessions of the published way at once
LOOP_ROUNDS = 3
LOOP_FRAMES = 640  # of each loop in a round: the first and the last batch overlap with nothing
MAX_SESSIONS = 128  # that are tried
PACKET_MS = 20

Loop: TypeAlias = Callable[[int], tuple[int, float]]  # frames -> those made, and milliseconds


class Bed:
    """The parts of the benchmark that paint."""

    def __init__(
        self,
        device: str,
        tiny: bool,
        batches: tuple[int, ...],
        seconds: float,
        baseline: bool,
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
    def plain(self) -> Side:
        return plain_side(self.work)

    @cached_property
    def exact(self) -> MuseTalkNetworks:
        return exact_networks(self.work)

    @cached_property
    def ours(self) -> Side:
        return our_side(self.work, self.exact, self.batches)

    @cached_property
    def stage(self) -> Stage:
        """What renders files: pictures are RGB, as the published way has them."""
        return self._open_stage("rgb24")

    @cached_property
    def served(self) -> Stage:
        """What serves live sessions: pictures are the planes that video encoders take."""
        return self._open_stage("i420")

    def _open_stage(self, pixel_format: PixelFormat) -> Stage:
        compositor = open_painter(
            self.work, self.exact, max(self.batches), pixel_format=pixel_format
        )
        return Stage(self.work, self.exact, compositor)

    @cached_property
    def found_ceilings(self) -> list[Ceiling]:
        return measure_ceilings(self.device, self.tiny)

    def ceilings(self, report: Report) -> list[dict[str, object]]:
        """What the device can do."""
        return [ceiling.record() for ceiling in self.found_ceilings]

    def equality(self, report: Report) -> list[dict[str, object]]:
        """Whether ours paints what the plain networks do."""
        batch = min(4 if self.tiny else 8, max(self.batches))
        # cuDNN keeps what it chose for a shape: chosen badly here, the baseline would be timed so.
        with quickest_convolutions():
            checks = check_equality(self.work, self.plain, self.ours, self.stage, batch)
        for check in checks:
            if not check.equal:
                report.failed.append(
                    f"lipstream paints something else ({check.name}: {check.value:.3g} is above "
                    f"{check.limit:.3g})"
                )
        return [check.record() for check in checks]

    def throughput(self, report: Report) -> dict[str, Any]:
        """Frames per second, of the networks alone and from speech to finished frames."""
        sides = [self.plain, self.ours] if self.baseline else [self.ours]
        if self.baseline:
            compiled: Side | str = "for GPUs, in batches of 8"
            if self.device.type == "cuda" and set(COMPILED_BATCHES) & set(self.batches):
                compiled = try_compiled(self.work)
            if isinstance(compiled, Side):
                sides.insert(1, compiled)
            else:
                report.excluded.append(f"the compiled baseline (a'): {compiled}")
        turbo = turbo_networks(self.work, self.exact)
        sides.append(our_side(self.work, turbo, (max(self.batches),), TURBO))
        self._speeds = list(measure_speeds(self.work, sides, self.batches, ROUNDS))
        return {
            "speeds": [speed.record() for speed in self._speeds],
            "loops": self._loops(report),
            "utilisation": self._utilisation(),
            "facts": {side.name: side.facts for side in sides},
            "memory of all sides together, GB": self._memory(),
        }

    def sessions(self, report: Report) -> dict[str, Any]:
        """How many people can talk at once."""
        if not self._fps:
            self._fps = self._once(OurLoop(self.served, max(self.batches)))
        ceiling = 1 if self.tiny else min(int(1.25 * self._fps / float(FPS)) + 1, MAX_SESSIONS)
        encoder = AudioWindowEncoder(self.exact.speech, recent(FPS))
        warm_up_s = 1.5 if self.tiny else 5.0
        house = House(self.served, encoder, self.served.avatar, max(self.batches), warm_up_s)
        ways = {"not encoded": False}
        if encoders_there():
            ways["encoded as H.264"] = True
        else:
            report.excluded.append("encoding video, which needs PyAV and aiortc")
        tried: list[Crowd] = []
        most = {}
        for name, encoded in ways.items():
            crowds = list(find_most(house, ceiling, self.seconds, encoded))
            tried += crowds
            most[name] = crowds[-1].sessions if crowds[-1].held else 0
            if crowds[-1].held:  # the same in the small packets that speech services send
                packets = replace(house, chunk_ms=PACKET_MS)
                held = hold_crowd(packets, crowds[-1].sessions, self.seconds, encoded)
                tried.append(asyncio.run(held))
        return {"tried": [crowd.record() for crowd in tried], "most": most}

    def _loops(self, report: Report) -> list[dict[str, object]]:
        """Whole loops by turns: the published one as it may be run, ours at two batch sizes."""
        short = self.tiny or self.device.type == "cpu"
        # The same threads in all rounds: cuDNN searches anew in every thread.
        with ThreadPoolExecutor(TOGETHER, "published") as pool, quickest_convolutions():
            loops = self._open_loops(report, short, pool)
            rates: dict[tuple[str, int], list[float]] = {key: [] for key in loops}
            for turn in range(1 + (1 if short else LOOP_ROUNDS)):
                for key, loop in loops.items():
                    wait(self.device)
                    made, ms = loop(8 if short else LOOP_FRAMES)
                    if turn:  # the first round warms up
                        rates[key].append(1000 * made / ms)
        middle = {key: median(found) for key, found in rates.items()}
        self._fps = max(fps for (side, _), fps in middle.items() if side in (OURS, PLANES))
        # Of the baseline's batch sizes the one that is best for it counts.
        others = [fps for (side, _), fps in middle.items() if side not in (OURS, PLANES)]
        theirs = max(others, default=None)
        return [
            {
                "side": side,
                "batch": batch,
                "fps": middle[side, batch],
                "worst": min(rates[side, batch]),
                "best": max(rates[side, batch]),
                "ratio": None if theirs is None else middle[side, batch] / theirs,
            }
            for side, batch in loops
        ]

    def _open_loops(
        self, report: Report, short: bool, pool: ThreadPoolExecutor
    ) -> dict[tuple[str, int], Loop]:
        """By side and size of batch."""
        loops: dict[tuple[str, int], Loop] = {}
        if self.baseline:
            for batch in PUBLISHED_BATCHES[:1] if short else PUBLISHED_BATCHES:
                alone = PublishedLoop(self.work, self.plain, batch)
                loops[PLAIN, batch] = partial(run_alone, alone)
                report.facts["baseline, composite"] = alone.composed_by
            many = [PublishedLoop(self.work, self.plain, 4) for _ in range(TOGETHER)]
            loops[f"{PLAIN}, {TOGETHER} at once", 4] = partial(run_together, many, pool)
        for batch in sorted({min(8, max(self.batches)), max(self.batches)}):
            loops[OURS, batch] = OurLoop(self.stage, batch).run
        loops[PLANES, max(self.batches)] = OurLoop(self.served, max(self.batches)).run
        return loops

    def _once(self, loop: OurLoop) -> float:
        """Frames per second of the second of two short runs."""
        loop.run(2 * loop.batch)
        made, ms = loop.run((4 if self.device.type == "cpu" else 16) * loop.batch)
        return 1000 * made / ms

    def _utilisation(self) -> list[dict[str, object]]:
        """Of each side's fastest batch size, as a share of the matrix product measured here."""
        peak = peak_tflops(self.found_ceilings, half(self.device))
        assert peak is not None
        nominal = count_flops(self.work, self.work.networks)
        # The counter does not know the layers that are packed for half precision on a CPU.
        exact = exact_networks(self.work, torch.float32)
        executed = {
            OURS: count_flops(self.work, exact),
            TURBO: count_flops(self.work, turbo_networks(self.work, exact)),
        }
        rows = []
        for side in dict.fromkeys(speed.side for speed in self._speeds):
            fastest = min((s for s in self._speeds if s.side == side), key=lambda s: s.ms)
            row = utilisation(fastest, nominal, executed.get(side, nominal), peak)
            rows.append(row.record())
        return rows

    def _memory(self) -> float | None:
        if self.device.type != "cuda":
            return None
        return round(torch.cuda.max_memory_reserved(self.device) / 1e9, 2)
