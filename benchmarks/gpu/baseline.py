"""The published loop on the synthetic workload, alone or some side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.gpu.synthetic_workload import Workload
from lipstream.bench.published_loop import PublishedLoop
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks


def open_loop(work: Workload, networks: MuseTalkNetworks, batch: int) -> PublishedLoop:
    """The loop of one session with its own batches."""
    return PublishedLoop(networks, work.avatar, work.faces, batch)


def run_together(
    loops: Sequence[PublishedLoop], pool: ThreadPoolExecutor, frames: int
) -> tuple[int, float]:
    """Run sessions side by side, a thread each: all their frames, and the milliseconds they took.

    While one waits for the processor's part another has the device.
    """
    began = time.perf_counter()
    share = -(-frames // len(loops))
    made = sum(count for count, _ in pool.map(lambda loop: loop.run(share), loops))
    return made, 1000 * (time.perf_counter() - began)
