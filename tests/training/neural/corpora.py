"""Corpora small enough to train on in a test: sounds by arithmetic, faces of one portrait."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from lipstream.media.image import Floats
from lipstream.speech.articulation.encoder import ArticulationEncoder
from lipstream.timeline import FEATURE_RATE, FPS, SAMPLE_RATE
from training.neural.faces import FaceCorpus, make_faces
from training.neural.portraits import read_portraits
from training.neural.speech_corpus import SpeechCorpus, poses_of

EXAMPLES = Path(__file__).parents[3] / "examples"
SECONDS = (2, 1, 3)


def speech() -> SpeechCorpus:
    """Three hums that come and go, of 2, 1 and 3 seconds."""
    teacher = ArticulationEncoder.from_file()
    sounds = [_hum(seconds, 110.0 + 40 * at) for at, seconds in enumerate(SECONDS)]
    return SpeechCorpus(
        np.concatenate([(sound * 32768).astype(np.int16) for sound in sounds]),
        np.array([len(sound) for sound in sounds]),
        np.concatenate([poses_of(teacher, sound, Fraction(FEATURE_RATE)) for sound in sounds]),
        np.concatenate([poses_of(teacher, sound, FPS) for sound in sounds]),
    )


def faces(folder: Path, corpus: SpeechCorpus, takes: int = 3, frames: int = 2) -> FaceCorpus:
    """Takes of the example portrait, as training reads them; one alone is not mixed."""
    portraits = {"portrait": read_portraits([EXAMPLES])["portrait"]}
    make_faces(portraits, corpus, 1, takes, frames).save(folder)
    return FaceCorpus.load(folder)


def _hum(seconds: int, pitch: float) -> Floats:
    times = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    waves = sum(np.sin(2 * np.pi * pitch * k * times) / k for k in range(1, 20))
    return np.asarray(0.1 * waves * (1 + np.sin(2 * np.pi * 3 * times)), np.float32)
