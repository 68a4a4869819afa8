"""What it costs to record or push a frame, beside what its encoding for a viewer costs.

    python -m benchmarks.cpu.output_cost [--frames N] [--rounds N]

Prints the CPU time of a frame and its sound (least of the rounds), all threads, the multiple of the
viewer's, and the kB of a second. The frames of the bundled portrait; nothing is sent.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import av
import numpy as np

from benchmarks.cpu.encoder_options import talking_face
from lipstream.media.audio import AudioChunk
from lipstream.media.i420 import BT601, even_size
from lipstream.media.image import I420
from lipstream.media.mp4_encoder import Mp4Encoder, PartFile
from lipstream.push.child import OPTIONS, OutgoingStream
from lipstream.push.wire import PushTarget, pack
from lipstream.server.outputs.recording import CONFIG
from lipstream.server.rtc.encoders import FRAME_TICKS, H264Encoder, OpusEncoder
from lipstream.server.rtc.settings import TransportSettings
from lipstream.timeline import FPS, SOUND_RATE, UNIT_SAMPLES

Way: TypeAlias = Callable[[Sequence[I420]], int]  # encodes frames; the bytes that they make
SOUND = np.random.default_rng(0).normal(0, 2000, UNIT_SAMPLES).astype(np.int16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    frames, _ = talking_face(options.frames)
    ways: dict[str, Way] = {
        "viewer": _viewer,
        "recording": _recording,
        "push": _push,
    }
    costs = {
        name: min(_cost(way, frames) for _ in range(options.rounds)) for name, way in ways.items()
    }
    for name, (cost, rate) in costs.items():
        print(f"{name:<12}{cost:8.2f} ms{cost / costs['viewer'][0]:8.2f}{rate:8.1f} kB/s")


def _cost(way: Way, frames: Sequence[I420]) -> tuple[float, float]:
    before = time.process_time()
    size = way(frames)
    spent = 1000 * (time.process_time() - before) / len(frames)
    return spent, size * float(FPS) / len(frames) / 1000


def _viewer(frames: Sequence[I420]) -> int:
    video, audio = H264Encoder(TransportSettings().bitrate), OpusEncoder()
    size = 0
    for index, frame in enumerate(frames):
        pictures = video.encode(frame, index * FRAME_TICKS).payloads
        size += sum(map(len, pictures)) + sum(map(len, audio.encode(SOUND)))
    return size


def _recording(frames: Sequence[I420]) -> int:
    with TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        with PartFile(Path(folder, "part")) as file:
            size = even_size(frames[0])
            encoder = Mp4Encoder(file, size, FPS, (SOUND_RATE, 1), CONFIG, matrix=BT601, live=True)
            with contextlib.closing(encoder):
                for frame in frames:
                    encoder.write(frame)
                    encoder.write(AudioChunk(SOUND, SOUND_RATE))
                encoder.finish()
            return Path(folder, "part").stat().st_size


def _push(frames: Sequence[I420]) -> int:
    """The work of the process of a push; to pack and to unpack a unit is a part of it."""
    parts = (part for index, frame in enumerate(frames) for part in pack(index, frame, SOUND))
    sent = io.BytesIO()
    with av.open(sent, "w", format="flv", options=OPTIONS) as container:
        stream = OutgoingStream(container, PushTarget("", *even_size(frames[0])))
        stream.send_all(io.BytesIO(b"".join(parts)))
    return len(sent.getvalue())


if __name__ == "__main__":
    main()
