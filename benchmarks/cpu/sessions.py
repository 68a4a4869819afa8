"""The number of live sessions that one process holds.

    python -m benchmarks.cpu.sessions [--sessions N ...] [--seconds S] [--viewers] [--out FILE]
    python -m benchmarks.cpu.sessions --against CHECKOUT [--rounds N] [--sessions N ...]

Each session is pushed speech in chunks of 100 ms at the pace of speech (open loop). Its pictures
are drawn and encoded as H.264, its sound as Opus, and with `--viewers` sent to a WebRTC receiver in
another process on the same cores, which does not decode. Prints for each number of sessions the
share of frames that were late, the delay from sound in to unit out, and the processor time of each
process; then the largest number whose share is below 1 %. A number that fails is tried again, as on
a shared host a moment of another guest's work is a row of late frames; the last column tells.

With `--against` whole servers of this checkout and of another one, of any version, take turns with
the same sessions over HTTP and WebRTC; see `served_sessions`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.cpu.cpu_usage import MAIN, cpu_seconds, ms_per_session_second
from benchmarks.cpu.load_generator import MeasuredSession, push_speech
from benchmarks.cpu.receivers import EncodeOnly, Receivers, WebRtcReceivers
from benchmarks.cpu.scenes import SCENES
from benchmarks.cpu.served_sessions import HEAD, compare, read_pcm
from benchmarks.machine import describe, stolen_s, usable_cores
from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.config import AvatarConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.session.session import Session
from lipstream.media.audio_reader import open_audio
from lipstream.rendering.registry import open_backend

ROOT = Path(__file__).resolve().parents[2]
SPEECH = ROOT / "examples" / "speech.wav"
CHUNK_MS, PAUSE_S = 100, 1.2
WARM_UP_S = 4.0
MAX_LATE = 0.01


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The outcome of `sessions` at once."""

    sessions: int
    units: int
    late: float  # share of units without their own picture in time
    out_p50: float  # ms from the last sound of a unit pushed to its picture encoded
    out_p99: float
    words_p50: float  # ms from the first sound of an utterance to its first picture encoded
    words_p95: float
    first_unit_max: float  # ms from the session's opening to its first picture encoded
    cpu_percent: float  # of one core, per session
    workers_percent: list[float]  # of each drawing process, likewise
    viewers_percent: float  # the viewers' own, per session
    stolen_percent: float  # of all cores' time, taken by other guests of the same host

    @property
    def held(self) -> bool:
        return self.late < MAX_LATE


async def hold(
    sessions: int, seconds: float, avatar: Avatar, scheduler: Scheduler, receivers: Receivers
) -> LoadResult:
    """Push speech to `sessions` sessions for a while."""
    with open_audio(SPEECH) as file:
        speech = np.concatenate([chunk.mono() for chunk in file])
        rate = file.sample_rate
    around = len(speech) / rate + PAUSE_S
    measured, disconnects, speakers = [], [], []
    for number in range(sessions):
        source = MeasuredSession(Session(avatar, scheduler))
        disconnects.append(await receivers.connect(source))
        delay = WARM_UP_S / 2 + number * around / sessions
        words = push_speech(source, speech, rate, chunk_ms=CHUNK_MS, pause_s=PAUSE_S, delay_s=delay)
        measured.append(source)
        speakers.append(asyncio.create_task(words))
    await asyncio.sleep(WARM_UP_S)
    units, late = _sum(measured)
    for source in measured:
        source.counting = True
    cpu, theirs, began = cpu_seconds(os.getpid()), receivers.cpu_s(), time.perf_counter()
    stolen = stolen_s()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    used = ms_per_session_second(cpu, cpu_seconds(os.getpid()), took * sessions)
    theirs = 100 * (receivers.cpu_s() - theirs) / (took * sessions)
    main_percent = used.pop(MAIN) / 10
    stolen = 100 * (stolen_s() - stolen) / (took * usable_cores())
    units_after, late_after = _sum(measured)
    for speaker in speakers:
        speaker.cancel()
    await asyncio.gather(*speakers, return_exceptions=True)
    for source, disconnect in zip(measured, disconnects, strict=True):
        await disconnect()
        source.session.close()
    out = [ms for source in measured for ms in source.out_ms]
    words_out = [ms for source in measured for ms in source.first_frame_ms]
    return LoadResult(
        sessions,
        units_after - units,
        (late_after - late) / max(units_after - units, 1),
        _percentile(out, 50),
        _percentile(out, 99),
        _percentile(words_out, 50),
        _percentile(words_out, 95),
        max(source.first_unit or float("inf") for source in measured),
        main_percent,
        [ms / 10 for ms in used.values()],
        theirs,
        stolen,
    )


def _percentile(values: list[float], percent: float) -> float:
    """The percentile; NaN where the run was too short for any value."""
    return float(np.percentile(values, percent)) if values else float("nan")


def _sum(measured: list[MeasuredSession]) -> tuple[int, int]:
    """Units so far, and how many of them were sent without their own picture."""
    units = late = 0
    for source in measured:
        counts = source.session.counts
        units += counts.units + counts.skipped
        late += counts.repeated + counts.skipped + source.never_sent
    return units, late


def main() -> None:
    options = _options()
    if options.against:
        _compare(options)
    else:
        _measure(options)


def _compare(options: argparse.Namespace) -> None:
    """Whole servers of two checkouts by turns."""
    speech = read_pcm(SPEECH)
    print(HEAD)
    loads = []
    with TemporaryDirectory() as folder:
        portrait = SCENES[0].write(Path(folder))
        checkouts = [ROOT, options.against.resolve()]
        for load in compare(
            checkouts, portrait, speech, options.sessions, options.seconds, options.rounds
        ):
            loads.append(load)
            print(load.row(), flush=True)
    if options.out:
        report = {"machine": describe(), "served": [asdict(load) for load in loads]}
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _measure(options: argparse.Namespace) -> None:
    """Sessions in this process, more and more of them."""
    engine = Engine(
        open_backend(
            "puppet", runtime=RuntimeOptions(pixel_format="i420"), processes=options.processes
        )
    )
    with TemporaryDirectory() as folder:
        avatar = open_avatar(SCENES[0].write(Path(folder)), AvatarConfig())
    avatar = engine.prepare(avatar)
    scheduler = Scheduler(engine)
    scheduler.start()
    print(
        f"{'sessions':>8}{'late %':>9}{'out p50':>9}{'p99 ms':>9}{'words p50':>11}{'p95 ms':>9}"
        f"{'first ms':>10}{'main %':>8}{'workers %':>16}{'viewer %':>10}{'stolen %':>10}"
    )
    loads = []
    with suppress(KeyboardInterrupt):
        for number in options.sessions:
            for _ in range(options.attempts):
                receivers = WebRtcReceivers() if options.viewers else EncodeOnly()
                load = asyncio.run(hold(number, options.seconds, avatar, scheduler, receivers))
                receivers.close()
                loads.append(load)
                print(_row(load), flush=True)
                if load.held:
                    break
    scheduler.close()
    engine.backend.close()
    held = max((load.sessions for load in loads if load.held), default=0)
    print(f"\n{held} sessions with less than {100 * MAX_LATE:g} % of frames late")
    if options.out:
        report = {
            "machine": describe(),
            "viewers": options.viewers,
            "drawing_processes": options.processes,
            "held": held,
            "loads": [asdict(load) for load in loads],
        }
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _row(load: LoadResult) -> str:
    workers = " ".join(f"{percent:.1f}" for percent in load.workers_percent)
    return (
        f"{load.sessions:8d}{100 * load.late:9.2f}{load.out_p50:9.0f}{load.out_p99:9.0f}"
        f"{load.words_p50:11.0f}{load.words_p95:9.0f}{load.first_unit_max:10.0f}"
        f"{load.cpu_percent:8.1f}{workers:>16}{load.viewers_percent:10.1f}"
        f"{load.stolen_percent:10.1f}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 4, 6, 8, 10, 12])
    parser.add_argument("--attempts", type=int, default=3, help="for a number that fails")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each number, after warm-up")
    parser.add_argument(
        "--processes", type=int, default=usable_cores(), help="that draw; 0: in this one"
    )
    parser.add_argument("--viewers", action="store_true", help="send everything to WebRTC viewers")
    parser.add_argument("--against", type=Path, help="another checkout, to compare servers with")
    parser.add_argument("--rounds", type=int, default=2, help="of each number, with --against")
    parser.add_argument("--out", type=Path, help="write all figures here as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
