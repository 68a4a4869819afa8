"""The sessions that a machine holds, by the number of its workers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.cpu.scenes import SCENES
from benchmarks.cpu.served_sessions import START_S, ServedLoad, measure_load, open_server, read_pcm

ROOT = Path(__file__).resolve().parents[2]
SPEECH = ROOT / "examples" / "speech.wav"
WORKERS = (0, 1, 2)  # 0: one process that serves by itself
SESSIONS = (6, 8, 10)
SECONDS, ROUNDS = 20.0, 1
DELAY = "lipstream_unit_late_ms"  # from when a unit was due to when it was sent


def measure_workers() -> list[dict[str, object]]:
    """Every number of sessions with every number of workers, by turns."""
    rows: list[dict[str, object]] = []
    speech = read_pcm(SPEECH)
    with TemporaryDirectory() as folder:
        portrait = SCENES[0].write(Path(folder))
        for sessions in SESSIONS:
            for turn in range(ROUNDS):
                for workers in WORKERS if turn % 2 == 0 else reversed(WORKERS):
                    load, p99 = _serve(portrait, workers, sessions, speech)
                    print(load.row(), f"p99 {p99:g} ms", flush=True)
                    rows.append({"workers": workers, **asdict(load), "late p99 ms": p99})
    return rows


def _serve(
    portrait: Path, workers: int, sessions: int, speech: tuple[bytes, int]
) -> tuple[ServedLoad, float]:
    """One server's load, and the delay that one unit of a hundred exceeds."""
    options = ("--workers", str(workers))
    with open_server(ROOT, portrait, sessions, options) as (address, pid):
        _wait_for_all(address, workers)
        urls = list(_metrics_of(address, workers))
        name = f"{workers} workers" if workers else "no front"
        load = asyncio.run(measure_load(address, pid, name, sessions, speech, SECONDS))
        return load, percentile(delays(urls), 0.99)


def _wait_for_all(address: str, workers: int) -> None:
    """Return when every worker is known: a front is ready with the first of them."""
    began = time.monotonic()
    while workers and len(httpx.get(f"{address}/v1/cluster").json()) < workers:
        if time.monotonic() - began > START_S:
            raise SystemExit(f"{address}: not all of {workers} workers have started.")
        time.sleep(0.2)


def _metrics_of(address: str, workers: int) -> Iterator[str]:
    if not workers:
        yield f"{address}/metrics"
        return
    for group in httpx.get(f"{address}/v1/cluster").json():
        for target in group["targets"]:
            yield f"http://{target}/metrics"


def delays(urls: Sequence[str]) -> Counter[float]:
    """The units of all workers by the upper bound of their delay."""
    found: Counter[float] = Counter()
    for url in urls:
        for family in text_string_to_metric_families(httpx.get(url).text):
            for sample in family.samples:
                if sample.name == f"{DELAY}_bucket":
                    found[float(sample.labels["le"])] += int(sample.value)
    return found


def percentile(cumulated: Mapping[float, int], share: float) -> float:
    """The smallest bound of a histogram that so large a share of its values does not exceed."""
    most = max(cumulated.values(), default=0)
    return min((bound for bound, count in cumulated.items() if count >= share * most), default=0.0)
