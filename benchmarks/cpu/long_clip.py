"""The memory and the time that a clip of some minutes takes, beside a shorter one.

    python -m benchmarks.cpu.long_clip [--minutes 2 5] [--out FILE]

The clip is `examples/idle.mp4` there and back, over and over. It speaks `examples/speech.wav` and
is shown once, so all of it is read, measured and written. Each length has a process of its own,
whose peak is the largest resident set it ever had.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import av

import lipstream
from benchmarks.machine import describe
from lipstream.bench.report import table

EXAMPLES = Path(__file__).parents[2] / "examples"
CLIP, SPEECH = EXAMPLES / "idle.mp4", EXAMPLES / "speech.wav"


@dataclass(frozen=True, slots=True)
class LongRender:
    """The render of one clip."""

    minutes: float  # of the clip
    frames: int
    seconds: float  # that it took
    peak_mib: float  # of the process


def write_clip(path: Path, minutes: float) -> None:
    """Write CLIP there and back, until it has lasted for `minutes`."""
    with av.open(str(CLIP)) as source:
        rate = source.streams.video[0].average_rate or 25
        forth = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    round_trip = [*forth, *forth[-2:0:-1]]
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "20"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = forth[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for index in range(round(minutes * 60 * rate)):
            picture = round_trip[index % len(round_trip)]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def render(clip: Path, minutes: float) -> LongRender:
    """Render a clip in this process."""
    began = time.monotonic()
    with lipstream.open_engine("puppet") as engine:
        done = lipstream.render(clip, SPEECH, clip.with_name("out.mp4"), engine=engine, clip="once")
    status = Path("/proc/self/status").read_text().splitlines()
    (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM:")]
    seconds = time.monotonic() - began
    return LongRender(minutes, done.frames, round(seconds, 1), round(int(peak) / 1024))


def measure(minutes: float) -> LongRender:
    """Render a clip of `minutes` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        write_clip(clip, minutes)
        command = [sys.executable, "-m", "benchmarks.cpu.long_clip", "--render", str(clip)]
        command += ["--minutes", str(minutes)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return LongRender(**json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[2.0, 5.0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--render", type=Path, help=argparse.SUPPRESS)  # in the process measured
    options = parser.parse_args()
    if options.render is not None:
        print(json.dumps(asdict(render(options.render, options.minutes[0]))))
        return
    results = [measure(minutes) for minutes in options.minutes]
    rows = [
        [f"{one.minutes:g}", str(one.frames), f"{one.seconds:g}", f"{one.peak_mib:g}"]
        for one in results
    ]
    print("\n".join(table(["minutes", "frames", "seconds", "peak MiB"], rows)))
    if options.out is not None:
        record = {"machine": describe(), "results": [asdict(one) for one in results]}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
