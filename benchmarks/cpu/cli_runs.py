"""Whole runs of the command line in processes of their own: time, speed, memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import wave
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.clips import SYNTHESISED, load_clips

ROOT = Path(__file__).resolve().parents[2]
RATE = 16_000

# The peak is asked of the process's own memory map: the resource usage of a child also counts what
# its parent held when it was started.
RENDER = """
import os, runpy, sys
sys.argv[0] = "lipstream"
try:
    runpy.run_module("lipstream", run_name="__main__")
finally:
    status = open("/proc/self/status").read() if sys.platform == "linux" else ""
    peak = status.partition("VmHWM:")[2].split()
    times = os.times()
    print(peak[0] if peak else 0, sum(times[:4]))
"""
IMPORT = "import time; t = time.perf_counter(); import {}; print(1000 * (time.perf_counter() - t))"


@dataclass(frozen=True, slots=True)
class FileTimes:
    """Medians over runs of one `lipstream render`, start of the process and set-up included."""

    name: str
    seconds: float  # of speech
    wall: float  # seconds
    cpu: float  # seconds, all threads and child processes
    peak_mb: float  # resident memory; 0 where the system does not tell
    fastest: float  # seconds, the best run: less of it is other people's work

    @property
    def speed(self) -> float:
        """Times real time."""
        return self.seconds / self.wall

    def record(self) -> dict[str, object]:
        return asdict(self) | {"times_real_time": self.speed}


def write_speech(path: Path, seconds: int) -> Path:
    """The synthesised clips one after the other, over and over: a 16 kHz wav."""
    clips = [clip for clip in load_clips([]) if clip.name in SYNTHESISED]
    speech = np.concatenate([clip.samples for clip in clips if clip.sample_rate == RATE])
    pcm = (np.clip(speech, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        left = seconds * RATE
        while left > 0:
            file.writeframes(pcm[:left].tobytes())
            left -= len(pcm)
    return path


def time_file(name: str, avatar: Path, speech: Path, folder: Path, runs: int) -> FileTimes:
    """Render `speech` with `avatar` through the command line `runs` times."""
    return time_checkouts(name, avatar, speech, folder, runs, [ROOT])[0]


def time_checkouts(
    name: str, avatar: Path, speech: Path, folder: Path, runs: int, checkouts: Sequence[Path]
) -> list[FileTimes]:
    """Render with checkouts of any version, which take turns `runs` times; a result for each."""
    words = ["render", "--avatar", str(avatar), "--audio", str(speech), "--backend", "puppet"]
    for checkout in checkouts:
        _child(checkout, IMPORT.format("lipstream.cli.render"))  # compiles it
    found: list[list[tuple[float, float, float]]] = [[] for _ in checkouts]
    for turn in range(runs):
        order = list(enumerate(checkouts))
        for number, checkout in order if turn % 2 == 0 else reversed(order):
            began = time.perf_counter()
            peak, cpu = _child(checkout, RENDER, *words, "-o", str(folder / "out.mp4"))
            found[number].append((time.perf_counter() - began, cpu, peak / 1024))
    with wave.open(str(speech)) as file:
        seconds = file.getnframes() / file.getframerate()
    results = []
    for runs_of_one in found:
        walls, cpus, peaks = zip(*runs_of_one, strict=True)
        middle = statistics.median
        times = FileTimes(name, seconds, middle(walls), middle(cpus), middle(peaks), min(walls))
        results.append(times)
    return results


def import_ms(runs: int) -> dict[str, float]:
    """Milliseconds to import the package and its offline part, the median of `runs`."""
    return {
        name: statistics.median(_child(ROOT, IMPORT.format(name))[0] for _ in range(runs))
        for name in ("lipstream", "lipstream.offline")
    }


def _child(checkout: Path, program: str, *words: str) -> list[float]:
    """The numbers on the last line that `program` prints, with the modules of a checkout."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        sys.exit(f"a child process failed: {done.stderr.strip()}")
    return [float(number) for number in done.stdout.splitlines()[-1].split()]
