"""One second of speech, a hundred times: the figure by which lip-sync engines are compared.

    python benchmarks/benchmark_lipsync.py [--backend puppet|musetalk] [--device cuda] [--runs 100]
        [--models DIR | --tiny | --full] [--frames N] [--out F]

Prints the total time, the milliseconds per second of audio and how many times faster than real
time that is. Opening the backend, preparing the avatar and the first run are not counted. Without
weights, `--full` takes networks of published size that are filled by a rule: they paint no mouth,
and as fast as those that do. `--tiny` takes filled networks of test size, to see that it runs.
Where a frame takes seconds, `--frames` renders that many of the second only.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FPS = 25
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
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--models", help="folder of musetalk weights, such as examples/tiny")
    weights.add_argument("--full", action="store_true", help="filled networks of published size")
    weights.add_argument("--tiny", action="store_true", help="filled networks of test size")
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
    parser.add_argument("--frames", type=int, default=25, help="of the second, 1 to 25")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    if not 1 <= arguments.frames <= FPS:
        parser.error(f"--frames must be from 1 to {FPS}, not {arguments.frames}")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.full or arguments.tiny:
            from tests.tiny_models import PUBLISHED, TINY, write_models

            sizes = PUBLISHED if arguments.full else TINY
            arguments.models = str(write_models(Path(folder), sizes=sizes))
        figures = measure(arguments)
    print(f"{figures['backend']}, {figures['networks']} networks, {figures['precision']}")
    print(f"{arguments.runs} runs of {arguments.frames} frames")
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
    with Engine(open_backend(arguments.backend, musetalk=musetalk, runtime=runtime)) as engine:
        avatar = engine.prepare(build_avatar(arguments.avatar))
        speech = _speech(arguments.frames)
        _render(engine, avatar, speech, arguments.frames)
        start = time.perf_counter()
        for _ in range(arguments.runs):
            _render(engine, avatar, speech, arguments.frames)
        total = time.perf_counter() - start
        backend = engine.backend
    seconds = arguments.runs * arguments.frames / FPS
    return {
        "backend": backend.name,
        "networks": _networks(arguments),
        "precision": backend.precision or "no networks",
        "device": arguments.device or "the default device",
        "runs": arguments.runs,
        "frames": arguments.frames,
        "total_s": total,
        "ms_per_second": 1000 * total / seconds,
        "times_real_time": seconds / total,
    }


def _networks(arguments: argparse.Namespace) -> str:
    if arguments.full:
        return "filled, published size"
    if arguments.tiny:
        return "filled, test size"
    return Path(arguments.models).name if arguments.models else "default"


def _speech(frames: int) -> AudioChunk:
    """So much of the second second of the bundled speech: the first begins with silence."""
    with open_audio(ROOT / "examples" / "speech.wav") as sound:
        samples = np.concatenate([chunk.samples for chunk in sound])
        length = frames * sound.sample_rate // FPS
        return AudioChunk(samples[sound.sample_rate :][:length], sound.sample_rate)


def _render(engine: Engine, avatar: Avatar, speech: AudioChunk, frames: int) -> None:
    rendered = sum(1 for _ in render_stream(engine, avatar, [speech]))
    assert rendered == frames, rendered


if __name__ == "__main__":
    sys.exit(main())
