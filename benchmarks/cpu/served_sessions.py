"""Live sessions of whole servers, through their command line and their HTTP interface only.

So that any two versions can be compared in one run, whatever their modules are called: each is
started from its own checkout, gets the same sessions, speech and WebRTC receivers, and takes turns.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import httpx
import numpy as np
from websockets.asyncio.client import connect

from benchmarks.cpu.cpu_usage import cpu_seconds, ms_per_session_second
from lipstream.media.audio_reader import open_audio
from lipstream.timeline import FPS

START_S = 60.0  # until a server is ready
WARM_UP_S = 4.0
CHUNK_MS = 100
AVATAR = "Portrait"


@dataclass(frozen=True, slots=True)
class ServedLoad:
    """The outcome of some sessions of one checkout."""

    checkout: str
    sessions: int  # asked for
    admitted: int
    late: float  # share of frames that were repeated, or never received
    cpu_ms: dict[str, float]  # of each process, per session and second

    def row(self) -> str:
        """One line of the table."""
        cpu = ", ".join(f"{name} {ms:.0f}" for name, ms in self.cpu_ms.items())
        total = sum(self.cpu_ms.values())
        return (
            f"{self.checkout:<24}{self.admitted:4d} of {self.sessions:<3d}{100 * self.late:9.2f}"
            f"{total:8.0f}  ({cpu})"
        )


HEAD = f"{'checkout':<24}{'admitted':>11}{'late %':>9}{'CPU':>8}  ms per session and second"


def compare(
    checkouts: Sequence[Path],
    portrait: Path,
    speech: tuple[bytes, int],
    sessions: Sequence[int],
    seconds: float,
    rounds: int,
) -> Iterator[ServedLoad]:
    """Every number of sessions in every round, the checkouts by turns.

    `speech` is PCM s16le and its rate.
    """
    for number in sessions:
        for turn in range(rounds):
            for checkout in checkouts if turn % 2 == 0 else reversed(checkouts):
                with open_server(checkout, portrait, number) as (address, pid):
                    load = measure_load(address, pid, str(checkout), number, speech, seconds)
                    yield asyncio.run(load)


def read_pcm(path: Path) -> tuple[bytes, int]:
    """The sound of a file as PCM s16le, mono, and its rate."""
    with open_audio(path) as file:
        samples = np.concatenate([chunk.mono() for chunk in file])
        return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes(), file.sample_rate


@contextmanager
def open_server(
    checkout: Path, portrait: Path, sessions: int, options: Sequence[str] = ()
) -> Iterator[tuple[str, int]]:
    """`lipstream serve` of a checkout, with more `options`: its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "lipstream", "serve", "--port", str(port), "--rate-limit", "0",
               "--backend", "puppet", "--max-sessions", str(sessions),
               "--avatar", f"{AVATAR}={portrait}", *options]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
    address = f"http://127.0.0.1:{port}"
    with TemporaryFile() as log:
        server = subprocess.Popen(command, cwd=checkout, env=environment, stdout=log, stderr=log)
        try:
            began = time.monotonic()
            while not _ready(address):
                if server.poll() is not None or time.monotonic() - began > START_S:
                    log.seek(0)
                    sys.exit(f"{checkout}: no server: {log.read().decode().strip()[-500:]}")
                time.sleep(0.2)
            yield address, server.pid
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _ready(address: str) -> bool:
    try:
        with httpx.Client(base_url=address) as http:
            if http.get("/readyz").status_code != 200:
                return False
            answer = http.get(f"/v1/avatars/{AVATAR}")
            return answer.status_code == 200 and answer.json().get("status") == "ready"
    except httpx.TransportError:
        return False


class Receivers:
    """WebRTC receivers in a process of their own, see `receiver_process`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Receivers]:
        path = str(Path(__file__).with_name("receiver_process.py"))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, path, stdin=pipe, stdout=pipe, limit=1 << 20
        )
        try:
            yield cls(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()

    async def ask(self, **message: object) -> dict[str, object]:
        """Send one message and return its answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        answer: dict[str, object] = json.loads(await self.process.stdout.readline())
        return answer


async def measure_load(
    address: str, pid: int, name: str, sessions: int, speech: tuple[bytes, int], seconds: float
) -> ServedLoad:
    """The outcome of some sessions of a server, all of which speak.

    `speech` is PCM s16le and its rate.
    """
    async with httpx.AsyncClient(base_url=address, timeout=30) as http, Receivers.open() as viewers:
        opened, talkers = [], []
        for number in range(sessions):
            answer = await http.post("/v1/sessions", json={"avatar": AVATAR})
            if answer.status_code != 201:  # refused: the server is full
                break
            session = answer.json()
            opened.append(f"/v1/sessions/{session['id']}")
            offer = await viewers.ask(viewer=number)
            sdp = {"content-type": "application/sdp"}
            whep = await http.post(f"{opened[-1]}/whep", content=str(offer["sdp"]), headers=sdp)
            await viewers.ask(viewer=number, sdp=whep.text)
            url = f"{address}{opened[-1]}/audio?sample_rate={speech[1]}".replace("http", "ws", 1)
            talkers.append(asyncio.create_task(_talk(url, *speech, delay_s=number / sessions)))
        await asyncio.sleep(WARM_UP_S)
        before = await _state(http, viewers, opened, pid)
        began = time.perf_counter()
        await _pass(talkers, seconds)
        took = time.perf_counter() - began
        after = await _state(http, viewers, opened, pid)
        for talker in talkers:
            talker.cancel()
        await asyncio.gather(*talkers, return_exceptions=True)
        for path in opened:
            await http.delete(path)
    count = max(len(opened), 1)
    frames = took * float(FPS) * count
    missing = max(frames - (after.pictures - before.pictures), 0.0)
    late = (after.repeated - before.repeated + missing) / frames
    cpu = ms_per_session_second(before.cpu, after.cpu, took * count)
    return ServedLoad(name, sessions, len(opened), late, cpu)


@dataclass(frozen=True, slots=True)
class _State:
    repeated: int
    pictures: int  # received
    cpu: dict[str, float]


async def _state(
    http: httpx.AsyncClient, viewers: Receivers, opened: Sequence[str], pid: int
) -> _State:
    """Everything counted so far."""
    states = [(await http.get(path)).json() for path in opened]
    pictures = (await viewers.ask(count=True))["pictures"]
    assert isinstance(pictures, int)
    server = {name.replace("main", "server"): cpu for name, cpu in cpu_seconds(pid).items()}
    cpu = server | {
        "receivers": sum(cpu_seconds(viewers.process.pid).values()),
        "speakers": time.process_time(),
    }
    return _State(sum(state["repeated"] for state in states), pictures, cpu)


async def _talk(url: str, pcm: bytes, rate: int, delay_s: float) -> None:
    """Send `pcm` over and over in chunks at the pace of speech."""
    size = 2 * (rate * CHUNK_MS // 1000)
    async with connect(url) as socket_:
        due = time.perf_counter() + delay_s
        start = 0
        while True:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            await socket_.send(pcm[start : start + size])
            start = (start + size) % (len(pcm) - size)
            due += CHUNK_MS / 1000


async def _pass(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    """Let time pass; an error of a task is raised here."""
    if not tasks:
        return
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()
