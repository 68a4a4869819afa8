"""What it costs to record or push a frame, beside what its encoding for a viewer costs.

    python -m benchmarks.cpu.output_cost [--frames N] [--rounds N]

Prints the CPU time of a frame and its sound (least of the rounds), all threads, and the multiple of
the viewer's. The frames of the bundled portrait; nothing is written to a disk or sent.
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

SOUND = np.random.default_rng(0).normal(0, 2000, UNIT_SAMPLES).astype(np.int16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    frames, _ = talking_face(options.frames)
    ways: dict[str, Callable[[Sequence[I420]], None]] = {
        "viewer": _viewer,
        "recording": _recording,
        "push": _push,
    }
    costs = {
        name: min(_cpu_ms(way, frames) for _ in range(options.rounds)) for name, way in ways.items()
    }
    for name, cost in costs.items():
        print(f"{name:<12}{cost:8.2f} ms{cost / costs['viewer']:8.2f}")


def _cpu_ms(way: Callable[[Sequence[I420]], None], frames: Sequence[I420]) -> float:
    before = time.process_time()
    way(frames)
    return 1000 * (time.process_time() - before) / len(frames)


def _viewer(frames: Sequence[I420]) -> None:
    video, audio = H264Encoder(TransportSettings().bitrate), OpusEncoder()
    for index, frame in enumerate(frames):
        video.encode(frame, index * FRAME_TICKS)
        audio.encode(SOUND)


def _recording(frames: Sequence[I420]) -> None:
    with TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        with PartFile(Path(folder, "part")) as file:
            size = even_size(frames[0])
            encoder = Mp4Encoder(file, size, FPS, (SOUND_RATE, 1), CONFIG, matrix=BT601, live=True)
            with contextlib.closing(encoder):
                for frame in frames:
                    encoder.write(frame)
                    encoder.write(AudioChunk(SOUND, SOUND_RATE))
                encoder.finish()


def _push(frames: Sequence[I420]) -> None:
    """The work of the process of a push; to pack and to unpack a unit is a part of it."""
    parts = (part for index, frame in enumerate(frames) for part in pack(index, frame, SOUND))
    with av.open(io.BytesIO(), "w", format="flv", options=OPTIONS) as container:
        stream = OutgoingStream(container, PushTarget("", *even_size(frames[0])))
        stream.send_all(io.BytesIO(b"".join(parts)))


if __name__ == "__main__":
    main()
