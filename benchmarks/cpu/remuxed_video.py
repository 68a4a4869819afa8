"""Videos of the same pictures with another sound, or with their own at another time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from lipstream.media.audio_reader import open_audio
from lipstream.score.files import sound_start

if TYPE_CHECKING:
    from lipstream.media.image import Floats

# The mouth is to stay what it is; no picture waits for a later one, so times are not moved.
ENCODING = {"crf": "12", "preset": "veryfast", "bf": "0"}
CLOCK = Fraction(1, 90_000)  # seconds
GRAIN = 2.0  # of 255: standard deviation of what keeps a frozen face from being one picture


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """Mono sound, (n,) in -1..1."""

    samples: Floats
    sample_rate: int

    @staticmethod
    def read(path: Path) -> Speech:
        """The sound of a file, from its own first sample on."""
        with open_audio(path) as sound:
            chunks = [chunk.mono() for chunk in sound]
            return Speech(np.concatenate(chunks), sound.sample_rate)

    def delayed(self, seconds: float) -> Speech:
        """The same after so much silence, or without so much of its beginning if negative."""
        count = round(abs(seconds) * self.sample_rate)
        if seconds < 0:
            return Speech(self.samples[count:], self.sample_rate)
        silence = np.zeros(count, np.float32)
        return Speech(np.concatenate([silence, self.samples]), self.sample_rate)

    def until(self, seconds: float) -> Speech:
        """The beginning of it."""
        return Speech(self.samples[: round(seconds * self.sample_rate)], self.sample_rate)

    def backwards(self) -> Speech:
        """The same from its end to its beginning."""
        return Speech(np.ascontiguousarray(self.samples[::-1]), self.sample_rate)


def own_sound(video: Path) -> Speech:
    """The sound of a video, from its first picture on."""
    return Speech.read(video).delayed(sound_start(video))


def write_pictures(video: Path, target: Path, frozen: bool = False) -> Path:
    """Write the pictures of a video into a new .mkv without sound, the first one at 0.

    With `frozen` the first one stays for good, under a little grain.
    """
    with av.open(str(video)) as source, av.open(str(target), "w") as container:
        track = source.streams.video[0]
        stream = container.add_stream("libx264", rate=track.average_rate, options=ENCODING)
        stream.pix_fmt, stream.width, stream.height = "yuv420p", track.width, track.height
        stream.time_base = stream.codec_context.time_base = CLOCK
        for frame in _from_zero(source.decode(track), frozen):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target


def write_video(pictures: Path, speech: Speech, target: Path) -> Path:
    """Write a new .mkv of the pictures of `pictures`, untouched, and a sound from the first on."""
    with av.open(str(pictures)) as source, av.open(str(target), "w") as container:
        video = container.add_stream_from_template(source.streams.video[0])
        audio = container.add_stream("pcm_s16le", rate=speech.sample_rate, layout="mono")
        pcm = (np.clip(speech.samples, -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], layout="mono")
        frame.sample_rate, frame.pts = speech.sample_rate, 0
        frame.time_base = Fraction(1, speech.sample_rate)
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:  # the last one is empty
                packet.stream = video
                container.mux(packet)
    return target


def _from_zero(frames: Iterable[av.VideoFrame], frozen: bool) -> Iterator[av.VideoFrame]:
    noise, first, still = np.random.default_rng(0), 0.0, np.zeros(0, np.float64)
    for index, frame in enumerate(frames):
        assert frame.time is not None
        if index == 0:
            first, still = frame.time, frame.to_ndarray(format="rgb24").astype(np.float64)
        time, shown = frame.time, frame
        if frozen:
            grain = noise.normal(0, GRAIN, still.shape)
            picture = np.clip(still + grain, 0, 255).astype(np.uint8)
            shown = av.VideoFrame.from_ndarray(picture, format="rgb24")
        shown.pts, shown.time_base = round((time - first) / CLOCK), CLOCK
        yield shown
