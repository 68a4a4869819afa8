"""What options of x264 cost and give on the frames of a talking face.

    python -m benchmarks.cpu.encoder_options [--frames N] [--rounds N] [--scene NAME]

Prints the CPU time of a frame (least of the rounds), the kB of a second, and PSNR of the luma: of
the picture, and of the square around the mouth. One thread, the frames of the bundled portrait in
a size of `benchmarks.cpu.scenes`, or of the bundled clip.
"""

from __future__ import annotations

import argparse
import io
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from benchmarks.cpu.cli_runs import write_speech
from benchmarks.cpu.scenes import SCENES, Scene
from lipstream.avatar.builder import open_avatar
from lipstream.avatar.face import landmarks as lm
from lipstream.config import Mp4Config
from lipstream.engine import open_engine
from lipstream.media.audio_reader import open_audio
from lipstream.media.i420 import BT709, to_i420
from lipstream.media.image import I420, Box
from lipstream.media.mp4_encoder import STILL, STILL_CRF, SWITCHED_OFF
from lipstream.offline import render_stream
from lipstream.timeline import FPS

PRESET, CRF = Mp4Config().preset, Mp4Config().crf
OPTIONS = {
    "the preset alone": ("", CRF),
    "me=dia:subme=1": ("me=dia:subme=1", CRF),
    "b-adapt=0": ("b-adapt=0", CRF),
    "both, for clips": (SWITCHED_OFF[PRESET], CRF),
    "for still pictures": (STILL[PRESET], CRF + STILL_CRF),
    "no B-frames": ("bframes=0", CRF),
    "no lookahead": ("rc-lookahead=0:mbtree=0", CRF),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    scenes = {scene.name: scene for scene in SCENES}
    parser.add_argument("--scene", choices=scenes, default=SCENES[0].name)
    options = parser.parse_args()
    frames, mouth = talking_face(options.frames, scenes[options.scene])
    print(f"{PRESET} and     ms a frame  kB a second  PSNR dB  mouth dB")
    for name, (parameters, crf) in OPTIONS.items():
        runs = [_encode(frames, parameters, crf) for _ in range(options.rounds)]
        movie = runs[0][1]
        cost, rate = min(run[0] for run in runs), len(movie) * float(FPS) / len(frames) / 1000
        whole, inside = _psnr(frames, movie, mouth)
        print(f"{name:<20}{1000 * cost:10.2f}{rate:13.1f}{whole:9.2f}{inside:10.2f}")


def talking_face(count: int, scene: Scene = SCENES[0]) -> tuple[list[I420], Box]:
    """The frames and the square around the mouth."""
    with TemporaryDirectory() as temporary, open_engine("puppet") as engine:
        folder = Path(temporary)
        avatar = engine.prepare(open_avatar(scene.write(folder)))
        points = avatar.frames[0].landmarks
        assert points is not None
        speech = write_speech(folder / "speech.wav", count // 25 + 2)
        with open_audio(speech) as sound:
            shown = islice(render_stream(engine, avatar, sound), count)
            frames = [to_i420(timed.frame, BT709) for timed in shown]
    x, y = points[lm.LOWER_LIP_CENTRE, :2].round().astype(int)
    reach = round(0.7 * lm.mouth_width(points))
    return frames, Box(x - reach, y - reach, x + reach, y + reach)


def _encode(frames: list[I420], parameters: str, crf: int) -> tuple[float, bytes]:
    """CPU seconds of a frame, and the movie."""
    output = io.BytesIO()
    container = av.open(output, "w", format="mp4")
    options = {"preset": PRESET, "crf": str(crf), "x264-params": parameters}
    stream = container.add_stream("libx264", rate=FPS, options=options)
    stream.height, stream.width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
    started = time.thread_time()
    for index, planes in enumerate(frames):
        frame = av.VideoFrame.from_numpy_buffer(planes, "yuv420p")
        frame.pts = index
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    cost = time.thread_time() - started
    container.close()
    return cost / len(frames), output.getvalue()


def _psnr(frames: list[I420], movie: bytes, mouth: Box) -> tuple[float, float]:
    """Of all luma, and of that inside the box `mouth`, dB."""
    errors = []
    with av.open(io.BytesIO(movie), "r") as container:
        for true, shown in zip(frames, container.decode(video=0), strict=True):
            height = true.shape[0] * 2 // 3
            decoded = shown.to_ndarray()[:height].astype(np.float64)
            error = (decoded - true[:height]) ** 2
            errors.append((error.mean(), error[mouth.slices].mean()))
    whole, inside = 10 * np.log10(255**2 / np.mean(errors, axis=0))
    return float(whole), float(inside)


if __name__ == "__main__":
    main()
