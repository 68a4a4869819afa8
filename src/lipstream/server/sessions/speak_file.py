"""A file that was uploaded, said aloud."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipstream.media.audio import AudioChunk

if TYPE_CHECKING:
    from lipstream.live.session import Session

CHUNK_MS = 200


async def say_file(session: Session, pcm: Path, sample_rate: int) -> None:
    """Push the 16-bit mono samples in `pcm` as one utterance, as fast as there is room."""
    start, length = 0, 2 * (sample_rate * CHUNK_MS // 1000)
    while data := await asyncio.to_thread(_piece, pcm, start, length):
        start += length
        await session.room(CHUNK_MS)
        if session.closed:
            return
        samples = np.frombuffer(data, "<i2").astype(np.int16)
        session.push(AudioChunk(samples, sample_rate))
    session.end()


def _piece(path: Path, start: int, length: int) -> bytes:
    """Opened each time, so that nothing is left open when the speech is interrupted."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)
