"""A sentence, the mouth that says it, and a small video of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipstream.media.audio_reader import open_audio
from lipstream.score.curves import Curve, centres
from lipstream.score.mouth import MouthTrack
from lipstream.score.sound import Spoken, listen

EXAMPLES = Path(__file__).parents[2] / "examples"
PORTRAIT = Path(__file__).parents[1] / "data" / "portrait.png"
CLIPS = Path(__file__).parents[2] / "benchmarks" / "clips"
FPS = 25


def heard(path: Path) -> Spoken:
    with open_audio(path) as sound:
        return listen(sound, sound.sample_rate)


def mouth_of(openings: Curve) -> MouthTrack:
    """A mouth with these openings in a face that nothing is wrong with."""
    looks = len(openings) // 5
    return MouthTrack(
        Fraction(FPS),
        openings,
        np.ones(looks),
        np.ones(looks),
        np.full((looks, 3), 100, np.float32),
    )


def saying(spoken: Spoken) -> MouthTrack:
    """A mouth that does what the sound asks for, as a tracker with noise reads it."""
    frames = len(spoken.gap) * FPS // 50
    openings = 0.02 + 0.1 * spoken.track(spoken.gap, 0).at(centres(frames))
    noise = np.random.default_rng(0).standard_normal(frames)
    return mouth_of(openings + 0.004 * noise)


def shifted(mouth: MouthTrack, frames: int) -> MouthTrack:
    """The same mouth so many frames later, or earlier; it stands still where nothing is known."""
    openings = np.roll(mouth.openings, frames)
    if frames > 0:
        openings[:frames] = mouth.openings[0]
    elif frames < 0:
        openings[frames:] = mouth.openings[-1]
    return replace(mouth, openings=openings)


@pytest.fixture(scope="session")
def sentence() -> Spoken:
    return heard(EXAMPLES / "speech.wav")


@pytest.fixture(scope="session")
def other_sentence() -> Spoken:
    return heard(CLIPS / "tts_ko_espeak.wav")
