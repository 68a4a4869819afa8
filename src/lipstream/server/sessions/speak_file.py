"""The speech of an uploaded file, pushed as one utterance."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from lipstream.live.session.utterance import Utterance

CHUNK_MS = 200


async def speak_file(utterance: Utterance, pcm: Path, cleanup: ExitStack) -> None:
    """Push the 16-bit mono samples in `pcm` as fast as there is room, until the end of the file or
    the utterance; then `cleanup`."""
    start, length = 0, 2 * (utterance.sample_rate * CHUNK_MS // 1000)
    with cleanup:
        while data := await asyncio.to_thread(_read, pcm, start, length):
            start += length
            await utterance.room(CHUNK_MS)
            if utterance.finished:
                return
            utterance.push(np.frombuffer(data, "<i2").astype(np.int16))
        utterance.end()


def _read(path: Path, start: int, length: int) -> bytes:
    """Some bytes of a file; it is opened each time, so that nothing is left open."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)
