"""The poses that every face performs: four of its own, human sentences, silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.clips import AUDIOBOOK_SENTENCES, Clip, load_clips
from benchmarks.cpu.portraits import closed
from benchmarks.cpu.speech_inputs import FPS, InputSource
from benchmarks.cpu.tracked_render import avatar_of, chunks
from lipstream.score.curves import Curve, centres
from lipstream.speech.articulation.encoder import ArticulationEncoder
from lipstream.speech.articulation.network import PARAMETERS
from lipstream.stream import LipSyncStream

if TYPE_CHECKING:
    from lipstream.media.image import Floats

SILENCE_SECONDS = 4
# jaw, round, wide, close, tuck, teeth, tongue: /s/ as in "soft", /e/, /a/ at their fullest
POSES: dict[str, dict[str, float]] = {
    "rest": {},
    "soft": {"jaw": 0.08, "wide": 0.45, "teeth": 1.0, "tongue": 0.1},
    "medium": {"jaw": 0.5, "wide": 0.55, "teeth": 0.35},
    "widest": {"jaw": 1.0, "wide": 0.3, "teeth": 0.1},
}
FALLBACK = ("tts_en_flite_slt",)  # where no human sentence is at hand


@dataclass(frozen=True, slots=True, eq=False)
class Sentence:
    """One recording, and the opening of the lips that its phonemes call for in each frame."""

    name: str
    human: bool
    frames: slice  # of the whole of what is spoken
    expected: Curve  # 0..1


@dataclass(frozen=True, slots=True, eq=False)
class Performance:
    """The poses that are asked of every face."""

    poses: Floats  # (4, 7), of POSES in their order
    speech: Floats  # (frames, 7) all sentences, one after the other
    silence: Floats  # (frames, 7)
    sentences: tuple[Sentence, ...]

    def save(self, path: Path, parts: Sequence[str]) -> None:
        """Write the poses of some parts into the new folder `path`, as `worker` reads them."""
        known = {"poses": self.poses, "speech": self.speech, "silence": self.silence}
        path.mkdir()
        for part in parts:
            np.save(path / f"{part}.npy", known[part])


def perform(folders: Iterable[Path], quick: bool) -> Performance:
    """Human sentences as the product's own encoder hears them; the shortest alone when `quick`."""
    clips = {clip.name: clip for clip in load_clips(folders)}
    human = [f"librivox_{number}" for number in AUDIOBOOK_SENTENCES]
    chosen = [clips[name] for name in human if name in clips] or [clips[name] for name in FALLBACK]
    chosen = sorted(chosen, key=lambda clip: clip.seconds)[: 1 if quick else None]
    encoder = ArticulationEncoder.from_file()
    spoken, sentences, start = [], [], 0
    for clip in chosen:
        rows = _heard(encoder, clip)
        frames = slice(start, start + len(rows))
        expected = clip.target().at(centres(len(rows), FPS))
        sentences.append(Sentence(clip.name, clip.human, frames, expected))
        spoken.append(rows)
        start = frames.stop
    samples = np.zeros(SILENCE_SECONDS * 16_000, np.float32)
    silence = _heard(encoder, Clip("silence", False, samples, 16_000, ()))
    return Performance(pose_rows(), np.concatenate(spoken), silence, tuple(sentences))


def pose_rows() -> Floats:
    """(4, 7) of POSES."""
    rows = [[values.get(name, 0.0) for name in PARAMETERS] for values in POSES.values()]
    return np.array(rows, np.float32)


def _heard(encoder: ArticulationEncoder, clip: Clip) -> Floats:
    """(frames, 7) the poses that the stream of a real session gives to the renderer."""
    stream = LipSyncStream(avatar_of(closed()), encoder)
    segments = [
        segment
        for chunk in chunks(InputSource(encoder).real(clip))
        for segment in stream.push(chunk)
    ]
    contexts = encoder.encode([segment.context for segment in segments + stream.end()])
    return np.concatenate(contexts)
