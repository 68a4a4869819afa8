"""Media files for tests."""

from __future__ import annotations

import string
import struct
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from lipstream.media.image import Floats, Image

WAV_TYPES = {"uint8": 1, "int16": 1, "int32": 1, "float32": 3, "float64": 3}  # WAVE format tags


def tone(seconds: float, sample_rate: int, hertz: float = 440.0, level: float = 0.5) -> Floats:
    """A sine of (n,) float32 samples."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return (level * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def write_wav(
    path: Path, pcm: NDArray[Any], sample_rate: int, announced: int | None = None
) -> Path:
    """Write (n,) or (n, channels) PCM; `announced` is the data size the header claims."""
    pcm = pcm[:, np.newaxis] if pcm.ndim == 1 else pcm
    data = pcm.astype(pcm.dtype.newbyteorder("<")).tobytes()
    return write_wav_bytes(path, data, sample_rate, pcm.dtype.name, pcm.shape[1], announced)


def write_wav_bytes(
    path: Path,
    data: bytes,
    sample_rate: int,
    kind: str = "int24",
    channels: int = 1,
    announced: int | None = None,
) -> Path:
    """Write raw little-endian samples of a type such as int24."""
    bits = int(kind.translate(str.maketrans("", "", string.ascii_letters)))
    block = channels * bits // 8
    length = len(data) if announced is None else announced
    tag = WAV_TYPES.get(kind, 1)
    form = struct.pack("<HHIIHH", tag, channels, sample_rate, sample_rate * block, block, bits)
    head = b"RIFF" + struct.pack("<I", min(length + 36, 2**32 - 1)) + b"WAVEfmt "
    head += struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", length)
    path.write_bytes(head + data)
    return path


def write_sound(
    path: Path, samples: Floats, sample_rate: int, codec: str, form: str | None = None
) -> Path:
    """Encode (n,) or (n, channels) samples; `form` is FFmpeg's name of the container."""
    planes = np.ascontiguousarray(samples.reshape(len(samples), -1).T, np.float32)
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(planes)]
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=sample_rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout = layout
        if codec.startswith("wma"):
            stream.bit_rate = 128_000  # it has no default of its own
        frame = av.AudioFrame.from_ndarray(planes, "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, 0, Fraction(1, sample_rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_video(
    path: Path,
    pictures: Iterable[Image],
    times: Iterable[Fraction],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    degrees: int = 0,
) -> Path:
    """Write pictures at `times` (seconds), to be turned by `degrees` counterclockwise."""
    unit = Fraction(1, 120_000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"crf": "5"})
        assert isinstance(stream, av.VideoStream)
        for picture, time in zip(pictures, times, strict=False):
            if not stream.codec_context.is_open:
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt, stream.codec_context.time_base = pixels, unit
                if degrees and not hasattr(stream, "set_display_rotation"):
                    pytest.skip("needs PyAV 18 to write a turned video")
                if degrees:
                    stream.set_display_rotation(degrees)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time / unit), unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def grey_levels(count: int, width: int = 64, height: int = 48, step: int = 4) -> list[Image]:
    """Pictures with a readable number: grey, `step` brighter each time from 8 on."""
    return [np.full((height, width, 3), 8 + step * index, np.uint8) for index in range(count)]


def numbers(images: Iterable[Image], step: int = 4) -> list[int]:
    """The numbers of pictures made by `grey_levels`, read back."""
    return [round((float(image.mean()) - 8) / step) for image in images]
