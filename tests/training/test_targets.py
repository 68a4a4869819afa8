"""The targets of the training are the yardstick of the quality benchmark too: they may not move."""

from __future__ import annotations

import numpy as np
import pytest

from lipstream.speech.articulation.lip_gap import lip_gap
from training.phonemes import ARPABET, POSES, Kind, Segment, gestures, letters, targets

MAMA = [
    Segment(0.0, 0.2, ""),
    Segment(0.2, 0.3, "m"),
    Segment(0.3, 0.5, "ɑː"),
    Segment(0.5, 0.6, "m"),
    Segment(0.6, 0.8, "aɪ"),
    Segment(0.8, 1.2, ""),
]


def test_lips_meet_for_m_and_part_for_a() -> None:
    gap = lip_gap(targets(MAMA, 1.2))
    assert gap[24:26].max() < 0.01 and gap[54:56].max() < 0.01
    assert gap[40] > 0.6


def test_silence_is_a_shut_mouth() -> None:
    gap = lip_gap(targets(MAMA, 1.2))
    assert gap[:5].max() < 0.05 and gap[-10:].max() < 0.01


def test_values_are_those_of_the_yardstick() -> None:
    gap = lip_gap(targets(MAMA, 1.2))
    expected = [0.0467, 0.0, 0.7530, 0.0, 0.5420, 0.0035]
    np.testing.assert_allclose(gap[[10, 25, 40, 55, 70, 105]], expected, atol=1e-3)


def test_two_letters_are_two_gestures() -> None:
    kinds = [(g.symbol, round(g.start, 3)) for g in gestures([Segment(0.0, 0.2, "tʃ")])]
    assert kinds == [("t", 0.0), ("ʃ", 0.09)]


@pytest.mark.parametrize(
    ("phone", "expected"),
    [("ç", ["ç"]), ("ä", ["a"]), ("uː", ["u"]), ("pʰ", ["p"]), ("ʔ", ["ʔ"]), ("", [])],
)
def test_marks_and_length_fall_away(phone: str, expected: list[str]) -> None:
    assert letters(phone) == expected


def test_language_marks_and_empty_segments_are_no_gestures() -> None:
    assert gestures([Segment(0.0, 0.1, "(en)"), Segment(0.1, 0.1, "a")]) == []


def test_every_english_phone_has_a_pose() -> None:
    for phone in filter(None, ARPABET.values()):
        assert letters(phone)
    assert POSES["b"][1] is Kind.BILABIAL and POSES["v"][1] is Kind.LABIODENTAL
