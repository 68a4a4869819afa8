"""A mouth that never opened is explained by what was heard."""

from __future__ import annotations

import numpy as np
import pytest

from lipstream.media.audio import AudioChunk
from lipstream.speech.unheard import UnheardSpeech

RATE = 16_000


def heard(level: float, seconds: float = 2.0, opened: bool | None = False) -> str | None:
    """The warning about noise at `level` dB on the second of two channels."""
    noise = np.random.default_rng(0).normal(0, 10 ** (level / 20), (round(seconds * RATE), 2))
    noise[:, 0] = 0
    unheard = UnheardSpeech()
    for part in np.array_split(noise, 7):
        unheard.listen(AudioChunk(np.clip(part, -1, 1), RATE))
    unheard.opened = opened
    return unheard.warning("a.wav")


@pytest.mark.parametrize(
    ("level", "reason"),
    [(-200.0, "a.wav is silent"), (-80.0, "too quiet to be heard (-80 dB"), (-30.0, "no speech")],
)
def test_the_level_tells_the_reason(level: float, reason: str) -> None:
    assert reason in str(heard(level))


@pytest.mark.parametrize("level", [-200.0, -80.0, -30.0])
def test_nothing_is_said_of_a_mouth_that_opened_or_of_a_short_sound(level: float) -> None:
    assert heard(level, opened=True) is None
    assert heard(level, seconds=0.5) is None


def test_a_backend_that_does_not_know_the_mouth_judges_by_the_level_alone() -> None:
    assert heard(-30.0, opened=None) is None
    assert "silent" in str(heard(-200.0, opened=None))
