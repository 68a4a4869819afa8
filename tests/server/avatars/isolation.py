"""Files in the hands of the child process that opens uploads."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import av
import numpy as np

from lipstream.server.avatars.sandbox import DecodeJob
from lipstream.server.avatars.uploads import run_isolated
from lipstream.server.settings import UploadLimits
from tests.media_files import write_sound

LIMITS = UploadLimits()


def isolated(path: Path, work: Any, limits: UploadLimits = LIMITS, side: int = 512) -> Any:
    """The result of the child process for a file; ApiError."""
    return asyncio.run(
        run_isolated(DecodeJob(work, path.name, "out.avatar", limits, side), path.parent)
    )


def hour_of_silence(path: Path, codec: str) -> Path:
    """A minute, sixty times."""
    if codec == "mp3":
        minute = write_sound(path, np.zeros(48_000 * 60, np.float32), 48_000, codec)
        with av.open(str(minute)) as container:
            frames = b"".join(bytes(packet) for packet in container.demux(audio=0))
        path.write_bytes(frames * 60)
        return path
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        silence = np.zeros((1, 48_000 * 60), np.int16)
        for number in range(60):
            frame = av.AudioFrame.from_ndarray(silence, "s16", "mono")
            frame.sample_rate, frame.pts = 48_000, number * 48_000 * 60
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
