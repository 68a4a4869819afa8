from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lipstream.score.judgement import judge, liken, verdict
from lipstream.score.sound import Spoken
from tests.score.conftest import FPS, mouth_of, saying, shifted

FRAME_MS = 1000 / FPS


@pytest.mark.parametrize("frames", range(-5, 6))
def test_a_planted_shift_is_found_within_a_frame(sentence: Spoken, frames: int) -> None:
    score = judge(shifted(saying(sentence), frames), sentence)
    assert score.follows
    assert score.offset_ms == pytest.approx(FRAME_MS * frames, abs=FRAME_MS / 2)
    assert (score.verdict == "in sync") == (frames in (-1, 0, 1)), score.verdict


def test_a_sound_that_starts_late_makes_the_lips_early(sentence: Spoken) -> None:
    score = judge(saying(sentence), sentence, start=0.1)
    assert score.offset_ms == pytest.approx(-100, abs=FRAME_MS / 2)
    assert score.verdict.endswith("the lips are early")


def test_a_wrong_sound_is_rejected(sentence: Spoken, other_sentence: Spoken) -> None:
    score = judge(saying(other_sentence), sentence)
    assert not score.follows
    assert score.verdict == "the mouth does not follow this sound"


@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_a_frozen_mouth_is_rejected_and_closes_for_nothing(sentence: Spoken, noise: float) -> None:
    count = len(saying(sentence).openings)
    still = 0.02 + noise * np.random.default_rng(0).standard_normal(count)
    score = judge(mouth_of(still), sentence)
    assert score.verdict == "the mouth does not follow this sound"
    assert noise or score.closures.hits == 0


def test_closures_are_sought_at_the_offset(sentence: Spoken) -> None:
    mouth = saying(sentence)
    seen = judge(mouth, sentence).closures
    assert seen.total >= 5 and seen.share > 0.8
    assert judge(shifted(mouth, 4), sentence).closures == seen
    lazy = mouth.openings.copy()
    for first, stop in sentence.closures():
        lazy[round(first * FPS) - 3 : round(stop * FPS) + 3] = 0.06
    assert judge(replace(mouth, openings=lazy), sentence).closures.share < 0.5


def test_what_cannot_be_said_is_not_said(sentence: Spoken) -> None:
    """The sentence has no pause."""
    score = judge(saying(sentence), replace(sentence, gap=np.maximum(sentence.gap, 0.1)))
    assert np.isnan(score.silence_opening) and np.isnan(score.silence_motion)


def test_a_mouth_that_moves_in_a_pause_is_not_still(sentence: Spoken) -> None:
    pause = np.zeros(100)
    spoken = Spoken(
        np.concatenate([sentence.gap, pause]),
        np.concatenate([sentence.close, pause]),
        np.concatenate([sentence.loudness, pause - 60]),
    )
    quiet = saying(spoken)
    chewing = quiet.openings.copy()
    chewing[-40:] += 0.03 + 0.03 * np.sin(np.arange(40))
    calm, restless = judge(quiet, spoken), judge(replace(quiet, openings=chewing), spoken)
    assert calm.silence_motion < 0.1 < restless.silence_motion
    assert calm.silence_opening < 0.2 < restless.silence_opening


def test_frames_without_a_face_are_bridged_and_counted(sentence: Spoken) -> None:
    mouth = saying(sentence)
    gone = mouth.openings.copy()
    gone[30:34] = np.nan
    score = judge(replace(mouth, openings=gone), sentence)
    assert score.frames_with_face == score.frames - 4
    assert score.verdict == "in sync"


def test_a_smile_and_a_deep_breath_do_not_count(sentence: Spoken) -> None:
    mouth = saying(sentence)
    times = np.arange(len(mouth.openings)) / FPS
    breath = 0.2 * np.exp(-(((times - 2) / 0.5) ** 2))
    score = judge(replace(mouth, openings=mouth.openings + breath + 0.02 * times), sentence)
    assert score.verdict == "in sync"


def test_a_mouth_that_says_it_backwards_is_rejected(sentence: Spoken) -> None:
    backwards = Spoken(sentence.gap[::-1], sentence.close[::-1], sentence.loudness[::-1])
    assert not judge(saying(sentence), backwards).follows


def test_likeness_is_measured_against_the_reference(sentence: Spoken) -> None:
    mouth = saying(sentence)
    drawn = replace(
        mouth,
        colours=mouth.colours + np.array([3, 0, 4], np.float32),
        sharpness=mouth.sharpness / 2,
    )
    likeness = liken(drawn, mouth)
    assert likeness.colour == pytest.approx(5)
    assert likeness.sharpness == 0.5
    assert likeness.correlation == pytest.approx(1)


def test_a_reference_without_any_detail_can_be_compared_with(sentence: Spoken) -> None:
    mouth = saying(sentence)
    flat = replace(mouth, sharpness=np.zeros_like(mouth.sharpness))
    assert np.isfinite(liken(mouth, flat).sharpness)
    unseen = replace(mouth, sharpness=np.zeros(0), colours=np.zeros((0, 3), np.float32))
    assert np.isnan(liken(mouth, unseen).sharpness) and np.isnan(liken(mouth, unseen).colour)


@pytest.mark.parametrize(
    ("offset_ms", "words"),
    [
        (40, "in sync"),
        (-60, "in sync"),
        (41, "out of sync by 41 ms: the lips are late"),
        (-80, "out of sync by 80 ms: the lips are early"),
    ],
)
def test_the_verdict_names_the_side(offset_ms: float, words: str) -> None:
    assert verdict(True, offset_ms) == words
