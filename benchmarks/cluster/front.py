"""The time that a front adds to control calls, and the memory that sessions cost it."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]

PORTRAIT = Path(__file__).resolve().parents[2] / "examples" / "portrait_closed.png"
PAIRS, WARM_UP = 500, 50
WORKERS, PLACES, SESSIONS = 10, 100, 1000
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Program:
    """A running program that has said its address."""

    url: str
    pid: int

    def rss_mb(self) -> float:
        """Resident memory of it and of all that it has started."""
        one = psutil.Process(self.pid)
        each = [one, *one.children(recursive=True)]
        return round(float(sum(process.memory_info().rss for process in each)) / 1e6, 1)


@contextmanager
def started(*arguments: str) -> Iterator[Program]:
    """`python -m ...` until the block ends."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None, f"{' '.join(command)} has not started"
            yield Program(found[0], process.pid)
        finally:
            for _ in range(2):  # the second time it hurries
                process.terminate()
            process.wait(READY_S)


def measure_front() -> dict[str, object]:
    """Delay and memory of a front in one dictionary."""
    return {"delay": _delays(), "memory": _memory()}


def _delays() -> list[dict[str, object]]:
    serve = ("lipstream", "serve", "--port", "0", "--backend", "puppet", "--rate-limit", "0")
    with ExitStack() as stack:
        avatar = ("--avatar", f"face={PORTRAIT}", "--worker-id", "w1")
        proxy = ("--trusted-proxy", "127.0.0.1")
        worker = stack.enter_context(started(*serve, *avatar, *proxy))
        front = stack.enter_context(_front({"w1": worker.url}))
        direct = stack.enter_context(httpx.Client(base_url=worker.url, timeout=READY_S))
        through = stack.enter_context(httpx.Client(base_url=front.url, timeout=READY_S))
        made = direct.post("/v1/sessions", json={"avatar": "face"}).json()["id"]

        def state(client: httpx.Client) -> None:
            assert client.get(f"/v1/sessions/{made}").status_code == 200

        def open_and_end(client: httpx.Client) -> None:
            body = {"avatar": "face"}
            answer = client.post("/v1/sessions", json=body)
            assert answer.status_code == 201, answer.text
            assert client.delete(f"/v1/sessions/{answer.json()['id']}").status_code == 204

        rows = [
            _compared("GET /v1/sessions/{id}", state, direct, through, PAIRS),
            _compared("POST and DELETE", open_and_end, direct, through, PAIRS // 5),
        ]
    for row in rows:
        print(row, flush=True)
    return rows


def _compared(
    name: str,
    call: Callable[[httpx.Client], None],
    direct: httpx.Client,
    through: httpx.Client,
    pairs: int,
) -> dict[str, object]:
    """The same call both ways, by turns; of a pair's two times the difference counts."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(WARM_UP + pairs):
        for fronted in (False, True) if turn % 2 else (True, False):
            began = time.perf_counter()
            call(through if fronted else direct)
            if turn >= WARM_UP:
                times[fronted].append(1000 * (time.perf_counter() - began))
    added = [two - one for one, two in zip(times[False], times[True], strict=True)]
    return {
        "call": name,
        "pairs": pairs,
        **{f"direct {label}": figure for label, figure in _figures(times[False]).items()},
        **{f"through the front {label}": figure for label, figure in _figures(times[True]).items()},
        **{f"added {label}": figure for label, figure in _figures(added).items()},
    }


def _figures(milliseconds: Sequence[float]) -> dict[str, float]:
    p99 = statistics.quantiles(milliseconds, n=100)[98]
    return {"median ms": round(statistics.median(milliseconds), 2), "p99 ms": round(p99, 2)}


def _memory() -> dict[str, object]:
    with ExitStack() as stack:
        workers = {}
        for number in range(1, WORKERS + 1):
            pretended = ("benchmarks.cluster.pretended_worker", f"w{number}", str(PLACES))
            workers[f"w{number}"] = stack.enter_context(started(*pretended)).url
        front = stack.enter_context(_front(workers))
        before = front.rss_mb()
        with httpx.Client(base_url=front.url, timeout=READY_S) as http:
            ids = []
            for _ in range(SESSIONS):
                answer = http.post("/v1/sessions", json={"avatar": "face"})
                assert answer.status_code == 201, answer.text
                ids.append(answer.json()["id"])
            for each in ids:
                assert http.get(f"/v1/sessions/{each}").status_code == 200
        found: dict[str, object] = {
            "sessions": SESSIONS,
            "before MB": before,
            "after MB": front.rss_mb(),
        }
    print(found, flush=True)
    return found


@contextmanager
def _front(workers: dict[str, str]) -> Iterator[Program]:
    named = [part for id, url in workers.items() for part in ("--worker", f"{id}={url}")]
    with started("lipstream", "front", "--port", "0", *named) as front:
        until = time.monotonic() + READY_S
        while len(httpx.get(f"{front.url}/v1/cluster").json()) < len(workers):
            assert time.monotonic() < until, "a worker is not there"
            time.sleep(0.1)
        yield front
