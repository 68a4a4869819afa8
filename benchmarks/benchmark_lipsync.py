"""One second of speech, a hundred times: the figure by which lip-sync engines are compared.

    python benchmarks/benchmark_lipsync.py [--backend puppet|musetalk] [--device cuda] [--runs 100]

Prints the total time, the milliseconds per second of audio and how many times faster than real
time that is. Opening the backend, preparing the avatar and the first run are not counted. `--tiny`
takes networks of test size, which says nothing about speed but runs anywhere.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import describe  # noqa: E402
from lipstream.avatar.avatar import Avatar  # noqa: E402
from lipstream.avatar.builder import build_avatar  # noqa: E402
from lipstream.config import MuseTalkConfig, RuntimeOptions  # noqa: E402
from lipstream.engine import Engine  # noqa: E402
from lipstream.media.audio import AudioChunk  # noqa: E402
from lipstream.media.audio_reader import open_audio  # noqa: E402
from lipstream.offline import render_stream  # noqa: E402
from lipstream.rendering.registry import open_backend  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backend", default="auto", choices=["auto", "puppet", "musetalk"])
    parser.add_argument("--models", help="folder of musetalk weights")
    parser.add_argument("--device", help="cuda, cuda:1 or cpu")
    parser.add_argument("--precision", help="float32, float16 or bfloat16")
    parser.add_argument("--batch", type=int, default=8, help="frames through the networks at once")
    parser.add_argument(
        "--optimized",
        action="store_true",
        help="musetalk: what is faster and differs by rounding only",
    )
    parser.add_argument("--avatar", type=Path, default=ROOT / "examples" / "portrait.png")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--tiny", action="store_true", help="musetalk networks of test size")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.tiny:
            from tests.tiny_models import write_models

            arguments.models = str(write_models(Path(folder)))
        figures = measure(arguments)
    print(f"{figures['backend']} on {figures['device']}, {arguments.runs} runs of 1 s of audio")
    print(f"total            {figures['total_s']:.2f} s")
    print(f"per second       {figures['ms_per_second']:.1f} ms")
    print(f"times real time  {figures['times_real_time']:.1f}")
    if arguments.out is not None:
        result = {"lipsync": figures, "machine": describe()}
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def measure(arguments: argparse.Namespace) -> dict[str, float | str]:
    """Render the same second again and again."""
    musetalk = MuseTalkConfig(
        models=arguments.models,
        device=arguments.device,
        precision=arguments.precision,
    )
    runtime = RuntimeOptions(live=True, batch=arguments.batch, optimized=arguments.optimized)
    engine = Engine(open_backend(arguments.backend, musetalk=musetalk, runtime=runtime))
    avatar = engine.prepare(build_avatar(arguments.avatar))
    second = _second_of_speech()
    _render(engine, avatar, second)
    start = time.perf_counter()
    for _ in range(arguments.runs):
        _render(engine, avatar, second)
    total = time.perf_counter() - start
    return {
        "backend": engine.backend.name,
        "device": arguments.device or "the default device",
        "runs": arguments.runs,
        "total_s": total,
        "ms_per_second": 1000 * total / arguments.runs,
        "times_real_time": arguments.runs / total,
    }


def _second_of_speech() -> AudioChunk:
    """The second one of the bundled speech: the first begins with silence."""
    with open_audio(ROOT / "examples" / "speech.wav") as sound:
        samples = np.concatenate([chunk.samples for chunk in sound])
        return AudioChunk(samples[sound.sample_rate : 2 * sound.sample_rate], sound.sample_rate)


def _render(engine: Engine, avatar: Avatar, second: AudioChunk) -> None:
    frames = sum(1 for _ in render_stream(engine, avatar, [second]))
    assert frames == 25, frames


if __name__ == "__main__":
    sys.exit(main())
