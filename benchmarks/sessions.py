"""How many live sessions one process holds: picture, H.264, Opus, encryption, network and all.

    python benchmarks/sessions.py [--sessions N ...] [--seconds S] [--out FILE]

Each session is a person talking in chunks of 100 ms at the pace of speech (open loop), seen by a
WebRTC viewer in another process that receives but does not decode. Prints for each number of
sessions the share of frames that were late, the delay from sound in to unit out, and the processor
time; then the largest number whose share is below 1 %. The viewers run on the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.load import Watched, talk
from benchmarks.machine import describe
from benchmarks.scenes import SCENES
from lipstream.avatar.avatar import Avatar
from lipstream.avatar.build import open_avatar
from lipstream.batcher import Batcher
from lipstream.config import AvatarConfig
from lipstream.container import open_audio
from lipstream.engine import Engine
from lipstream.rendering.backends import open_backend
from lipstream.server.player import MediaWorkers
from lipstream.server.transport import NoObserver
from lipstream.server.webrtc import TransportSettings, WebRTCTransport
from lipstream.session import Session

ROOT = Path(__file__).resolve().parents[1]
SPEECH = ROOT / "examples" / "speech.wav"
CHUNK_MS, PAUSE_S = 100, 1.2
WARM_UP_S = 4.0
MOST_LATE = 0.01


@dataclass(frozen=True, slots=True)
class Load:
    """What happened with `sessions` at once."""

    sessions: int
    units: int
    late: float  # share of units without their own picture in time
    out_p50: float  # ms from the last sound of a unit pushed to the unit sent
    out_p99: float
    words_p50: float  # ms from the first sound of an utterance to its first unit sent
    words_max: float
    first_unit_max: float  # ms from the session's opening to the first picture sent
    cpu_percent: float  # of one core, per session
    viewers_percent: float  # the viewers' own, per session

    @property
    def held(self) -> bool:
        return self.late < MOST_LATE


class Dropped(NoObserver):
    """Counts pictures that were drawn but never sent."""

    def __init__(self) -> None:
        self.pictures = 0

    def video_dropped(self) -> None:
        self.pictures += 1


class Viewers:
    """The process of those who watch."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "viewers.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def watch(self, number: int, transport: WebRTCTransport) -> None:
        """Connect viewer `number` to `transport`."""
        offer = await asyncio.to_thread(self._ask, {"viewer": number})
        answer = await transport.accept(offer["sdp"])
        await asyncio.to_thread(self._ask, {"viewer": number, "sdp": answer})

    def cpu_s(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)

    def _ask(self, message: dict[str, object]) -> dict[str, str]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        answer: dict[str, str] = json.loads(self.process.stdout.readline())
        return answer


async def hold(sessions: int, seconds: float, avatar: Avatar, batcher: Batcher) -> Load:
    """Let `sessions` people talk for a while."""
    with open_audio(SPEECH) as file:
        speech = np.concatenate([chunk.mono() for chunk in file])
        rate = file.sample_rate
    around = len(speech) / rate + PAUSE_S
    workers, viewers, dropped = MediaWorkers(), Viewers(), Dropped()
    watched, transports, talkers = [], [], []
    for number in range(sessions):
        source = Watched(Session(avatar, batcher))
        transport = WebRTCTransport(source, TransportSettings(), workers, observer=dropped)
        await viewers.watch(number, transport)
        delay = WARM_UP_S / 2 + number * around / sessions
        words = talk(source, speech, rate, chunk_ms=CHUNK_MS, pause_s=PAUSE_S, delay_s=delay)
        watched.append(source)
        transports.append(transport)
        talkers.append(asyncio.create_task(words))
    await asyncio.sleep(WARM_UP_S)
    units, late = _sum(watched, dropped.pictures)
    for source in watched:
        source.counting = True
    cpu, theirs, began = time.process_time(), viewers.cpu_s(), time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    share = 100 / (took * sessions)
    cpu, theirs = (time.process_time() - cpu) * share, (viewers.cpu_s() - theirs) * share
    units_after, late_after = _sum(watched, dropped.pictures)
    for talker in talkers:
        talker.cancel()
    await asyncio.gather(*talkers, return_exceptions=True)
    await asyncio.gather(*(transport.close() for transport in transports))
    for source in watched:
        source.session.close()
    viewers.close()
    workers.close()
    out = np.concatenate([source.through for source in watched])
    words_out = np.concatenate([source.first_words for source in watched])
    return Load(
        sessions,
        units_after - units,
        (late_after - late) / max(units_after - units, 1),
        float(np.percentile(out, 50)),
        float(np.percentile(out, 99)),
        float(np.median(words_out)),
        float(words_out.max()),
        max(source.first_unit or float("inf") for source in watched),
        cpu,
        theirs,
    )


def _sum(watched: list[Watched], dropped: int) -> tuple[int, int]:
    """Units so far, and how many of them came without their own picture."""
    counts = [source.session.counts for source in watched]
    units = sum(count.units + count.skipped for count in counts)
    return units, sum(count.repeated + count.skipped for count in counts) + dropped


def main() -> None:
    options = _options()
    engine = Engine(open_backend("puppet"))
    with TemporaryDirectory() as folder:
        avatar = open_avatar(SCENES[0].write(Path(folder)), AvatarConfig())
    avatar = engine.backend.renderer.prepare(avatar)
    batcher = Batcher(engine)
    batcher.start()
    print(
        f"{'sessions':>8}{'late %':>9}{'out p50':>9}{'p99 ms':>9}{'words p50':>11}{'max ms':>9}"
        f"{'first ms':>10}{'CPU %':>8}{'viewer %':>10}"
    )
    loads = []
    with suppress(KeyboardInterrupt):
        for number in options.sessions:
            load = asyncio.run(hold(number, options.seconds, avatar, batcher))
            loads.append(load)
            print(
                f"{load.sessions:8d}{100 * load.late:9.2f}{load.out_p50:9.0f}{load.out_p99:9.0f}"
                f"{load.words_p50:11.0f}{load.words_max:9.0f}{load.first_unit_max:10.0f}"
                f"{load.cpu_percent:8.1f}{load.viewers_percent:10.1f}",
                flush=True,
            )
    batcher.close()
    held = max((load.sessions for load in loads if load.held), default=0)
    print(f"\n{held} sessions with less than {100 * MOST_LATE:g} % of frames late")
    if options.out:
        report = {
            "machine": describe(ROOT),
            "held": held,
            "loads": [asdict(load) for load in loads],
        }
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 4, 6, 8, 10, 12])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each number, after warm-up")
    parser.add_argument("--out", type=Path, help="write all figures here as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
