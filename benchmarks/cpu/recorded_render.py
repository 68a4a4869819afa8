"""What a speech makes of a face, as arrays, for comparing processes with each other.

python -m benchmarks.cpu.recorded_render FACE FILE.avatar OUT.npz
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import build_avatar
from lipstream.avatar.storage import load_avatar, save_avatar
from lipstream.engine import Engine, open_engine
from lipstream.media.audio import AudioChunk

SPEECH = Path(__file__).parents[2] / "examples" / "speech.wav"
SECONDS = 2


def record(face: Path, prepared: Path, out: Path) -> None:
    """Write the face's landmarks, the speech's articulation, the frames' times, and the pictures of
    `face` and of `prepared`, which is made of it where it is missing."""
    avatar = build_avatar(face)
    if not prepared.exists():
        save_avatar(avatar, prepared)
    rows = [frame.landmarks for frame in avatar.frames if frame.landmarks is not None]
    with open_engine("puppet") as engine:
        copied = perform(engine, load_avatar(prepared))
        own = perform(engine, avatar)
    arrays: dict[str, Any] = {**copied, "own_pictures": own["pictures"]}
    np.savez(out, landmarks=np.stack(rows), **arrays)


def perform(engine: Engine, avatar: Avatar) -> dict[str, NDArray[Any]]:
    """Let `avatar` speak the first seconds of the bundled speech."""
    with wave.open(str(SPEECH)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(SECONDS * rate), np.int16)
    stream = engine.open_stream(engine.prepare(avatar))
    segments = [*stream.push(AudioChunk(samples, rate)), *stream.end()]
    encoded = engine.backend.encoder.encode([segment.context for segment in segments])
    frames = engine.render(segments)
    return {
        "articulation": np.concatenate([np.asarray(rows) for rows in encoded]),
        "times_ms": np.array([frame.timestamp_ms for frame in frames]),
        "pictures": np.stack([frame.frame for frame in frames]),
    }


if __name__ == "__main__":
    record(*map(Path, sys.argv[1:]))
