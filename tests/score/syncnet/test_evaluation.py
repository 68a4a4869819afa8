"""A network by construction: it sees how bright a face is and hears how loud the sound is."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from lipstream.errors import MissingError, PictureError
from lipstream.media.image import Floats, Image
from lipstream.score.syncnet.distances import WINDOW
from lipstream.score.syncnet.evaluation import SAMPLES_PER_FRAME, agreement, open_network

FRAMES = 80


class Levels:
    """Maps brightness and loudness of a window's first frame to the same number."""

    def see(self, faces: Image) -> Floats:
        windows = len(faces) - WINDOW + 1
        return faces[:windows, 0, 0, :1].astype(np.float32) / np.float32(10)

    def hear(self, coefficients: Floats) -> Floats:
        assert (len(coefficients) - 20) % 4 == 0
        return coefficients[1 : len(coefficients) - 18 : 4, :1].astype(np.float32)


def spoken(levels: np.ndarray) -> Floats:
    """Noise of which a frame's log energy is its level."""
    noise = np.random.default_rng(0).standard_normal((len(levels), SAMPLES_PER_FRAME))
    noise /= np.sqrt((noise**2).sum(axis=1, keepdims=True))
    return (noise * np.exp(levels[:, None] / 2) / 2**15).ravel().astype(np.float32)


def shown(levels: np.ndarray) -> list[Image]:
    return [np.full((2, 2, 3), round(10 * level), np.uint8) for level in levels]


@pytest.mark.parametrize("late", range(-5, 6))
def test_a_planted_shift_is_found(late: int) -> None:
    levels = np.random.default_rng(1).uniform(12, 24, FRAMES)
    found = agreement(Levels(), shown(np.roll(levels, late)), spoken(levels))
    assert found.offset_ms == 40 * late
    assert found.lse_c > 1


def test_pictures_and_sound_of_different_length_are_compared_as_far_as_both_go() -> None:
    levels = np.random.default_rng(1).uniform(12, 24, FRAMES)
    for pictures, sound in ((FRAMES, FRAMES - 30), (FRAMES - 30, FRAMES)):
        found = agreement(Levels(), shown(levels[:pictures]), spoken(levels[:sound]))
        assert found.offset_ms == 0


def test_what_is_too_short_is_refused() -> None:
    levels = np.full(20, 16.0)
    with pytest.raises(PictureError, match=r"SyncNet needs 0\.8 s"):
        agreement(Levels(), shown(levels), spoken(levels))
    with pytest.raises(PictureError):
        agreement(Levels(), [], spoken(levels))


def test_without_pytorch_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "lipstream.score.syncnet.network", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingError, match=r"--syncnet needs PyTorch; run `.*pip install"):
        open_network(Path("syncnet_v2.model"))
