"""A file that was uploaded, said aloud."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipstream.audio import AudioChunk

if TYPE_CHECKING:
    from lipstream.server.stage import Playing

CHUNK_MS = 200


async def say_file(session: Playing, pcm: Path, sample_rate: int) -> None:
    """Push the 16-bit mono samples in `pcm` as one utterance, as fast as there is room."""
    count = sample_rate * CHUNK_MS // 1000
    with await asyncio.to_thread(pcm.open, "rb") as file:
        while data := await asyncio.to_thread(file.read, 2 * count):
            await session.room(CHUNK_MS)
            if session.closed:
                return
            samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2")
            session.push(AudioChunk.from_pcm(samples.astype(np.int16), sample_rate))
    session.end()
