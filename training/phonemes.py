"""Phonemes -> what a mouth does while it says them.

Every phoneme has a pose of seven parameters in 0..1: jaw, round, wide, close (lips meet), tuck
(lower lip under the teeth), teeth, tongue. Neighbours blend by dominance (Cohen and Massaro 1993):
a phoneme holds its pose over its core and its influence fades around it, fast for the lips of /p/,
slowly for the rounding of /u/. The tables are by hand, from general phonetics.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech: seconds, and its phoneme in IPA; "" is silence."""

    start: float
    end: float
    phone: str


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Speech of a voice, (samples,) float32 in -1..1, and its phonemes with their times."""

    samples: NDArray[np.float32]
    sample_rate: int
    segments: tuple[Segment, ...]
    voice: str


class Kind(Enum):
    """The kinds of phonemes, by how strongly and how long they hold the mouth."""

    VOWEL = "vowel"
    BILABIAL = "bilabial"
    LABIODENTAL = "labiodental"
    ROUNDED = "rounded"
    CONSONANT = "consonant"
    WEAK = "weak"  # made in the throat or with the back of the tongue: the lips follow others
    SILENCE = "silence"


# fmt: off
# jaw, round, wide. The teeth follow from wide; the tongue rests.
_VOWELS = {
    "a": (.95, 0, .3), "ɑ": (1, .05, .1), "æ": (.9, 0, .5), "ɐ": (.8, 0, .25), "ʌ": (.6, 0, .15),
    "ɛ": (.55, 0, .5), "e": (.42, 0, .6), "i": (.2, 0, .85), "ɪ": (.3, 0, .5), "ᵻ": (.25, 0, .4),
    "ɔ": (.7, .5, 0), "ɒ": (.75, .4, 0), "o": (.5, .75, 0), "u": (.22, 1, 0), "ʊ": (.3, .65, 0),
    "y": (.2, .9, 0), "ʏ": (.25, .75, 0), "ø": (.4, .7, 0), "œ": (.5, .55, 0),
    "ə": (.38, .05, .2), "ɜ": (.42, .15, .15), "ɚ": (.35, .3, .05), "ɝ": (.4, .3, .05),
    "ɯ": (.22, 0, .45), "ɨ": (.22, 0, .5), "ɤ": (.45, .05, .1), "ɵ": (.35, .6, 0),
    "ʉ": (.22, .8, 0), "ɘ": (.35, .05, .2), "ɞ": (.5, .3, 0), "ɶ": (.8, .3, 0),
}

# jaw, round, wide, close, tuck, teeth, tongue
_CONSONANTS = {
    "p": (.12, 0, 0, 1, 0, 0, 0), "b": (.12, 0, 0, 1, 0, 0, 0), "m": (.12, 0, 0, 1, 0, 0, 0),
    "ɓ": (.12, 0, 0, 1, 0, 0, 0), "ɸ": (.12, .2, 0, .6, .2, 0, 0), "β": (.15, 0, 0, .6, .2, 0, 0),
    "f": (.12, 0, .2, 0, 1, .3, 0), "v": (.12, 0, .2, 0, 1, .3, 0), "ʋ": (.18, 0, .2, 0, .7, .2, 0),
    "ɱ": (.12, 0, 0, .2, .8, 0, 0), "ⱱ": (.12, 0, .2, 0, 1, .3, 0),
    "w": (.18, .95, 0, 0, 0, 0, 0), "ɥ": (.18, .9, 0, 0, 0, 0, 0), "ʍ": (.18, .9, 0, 0, 0, 0, 0),
    "ɹ": (.22, .45, 0, 0, 0, .2, .1), "ɻ": (.22, .45, 0, 0, 0, .2, .1),
    "r": (.25, .05, .1, 0, 0, .2, .5), "ɾ": (.22, .05, .1, 0, 0, .2, .5),
    "ɽ": (.22, .05, .1, 0, 0, .2, .5), "ɺ": (.25, .05, .1, 0, 0, .3, .7),
    "ʁ": (.35, .05, .1, 0, 0, 0, 0), "ʀ": (.35, .05, .1, 0, 0, 0, 0),
    "θ": (.18, 0, .2, 0, 0, .5, .95), "ð": (.18, 0, .2, 0, 0, .5, .9),
    "t": (.14, 0, .25, 0, 0, .5, .4), "d": (.15, 0, .25, 0, 0, .5, .4),
    "ɗ": (.15, 0, .25, 0, 0, .5, .4),
    "n": (.18, 0, .25, 0, 0, .4, .5), "ɲ": (.18, 0, .4, 0, 0, .4, .4),
    "ɳ": (.2, 0, .2, 0, 0, .3, .4),
    "l": (.28, 0, .2, 0, 0, .3, .8), "ɫ": (.28, .1, .1, 0, 0, .3, .7),
    "ɭ": (.28, 0, .2, 0, 0, .3, .7),
    "ʎ": (.25, 0, .4, 0, 0, .3, .5), "ɬ": (.2, 0, .3, 0, 0, .6, .6), "ɮ": (.2, 0, .3, 0, 0, .6, .6),
    "s": (.08, 0, .45, 0, 0, 1, .1), "z": (.08, 0, .45, 0, 0, 1, .1),
    "ʃ": (.12, .6, 0, 0, 0, .85, 0), "ʒ": (.12, .6, 0, 0, 0, .85, 0), "ɧ": (.2, .5, 0, 0, 0, .4, 0),
    "ɕ": (.1, .2, .4, 0, 0, .9, 0), "ʑ": (.1, .2, .4, 0, 0, .9, 0),
    "ʂ": (.12, .4, .1, 0, 0, .85, 0), "ʐ": (.14, .4, .1, 0, 0, .7, 0),
    "ç": (.15, 0, .5, 0, 0, .5, 0), "ʝ": (.15, 0, .5, 0, 0, .5, 0),
    "k": (.28, 0, .1, 0, 0, .1, 0), "g": (.28, 0, .1, 0, 0, .1, 0), "ɡ": (.28, 0, .1, 0, 0, .1, 0),
    "ɠ": (.28, 0, .1, 0, 0, .1, 0), "ŋ": (.28, 0, .1, 0, 0, .1, 0), "ɴ": (.3, 0, .1, 0, 0, .1, 0),
    "x": (.32, 0, .1, 0, 0, .1, 0), "ɣ": (.32, 0, .1, 0, 0, .1, 0), "ɰ": (.3, 0, .1, 0, 0, .1, 0),
    "q": (.32, 0, 0, 0, 0, 0, 0), "ɢ": (.32, 0, 0, 0, 0, 0, 0), "χ": (.35, 0, 0, 0, 0, 0, 0),
    "h": (.35, 0, .1, 0, 0, 0, 0), "ɦ": (.35, 0, .1, 0, 0, 0, 0), "ħ": (.4, 0, .1, 0, 0, 0, 0),
    "ʔ": (.3, 0, .1, 0, 0, 0, 0), "ʕ": (.4, 0, .1, 0, 0, 0, 0),
    "j": (.2, 0, .6, 0, 0, .3, 0), "c": (.2, 0, .3, 0, 0, .3, 0), "ɟ": (.2, 0, .3, 0, 0, .3, 0),
    "ʈ": (.16, 0, .2, 0, 0, .4, .4), "ɖ": (.16, 0, .2, 0, 0, .4, .4),
}

ARPABET = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ",
    "b": "b", "ch": "tʃ", "d": "d", "dh": "ð", "eh": "ɛ", "er": "ɝ", "ey": "eɪ", "f": "f", "g": "ɡ",
    "hh": "h", "ih": "ɪ", "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋ",
    "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ",
    "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
    "pau": "", "sil": "", "+spn+": "", "+nsn+": "", "nsn": "", "": "",
}

# How strongly a kind claims: jaw, round, wide, close, tuck, teeth, tongue
_STRENGTH = {
    Kind.VOWEL: (1, 1, 1, 1, 1, .6, .6),
    Kind.BILABIAL: (1.1, .25, .2, 8, 1, .6, .5),
    Kind.LABIODENTAL: (1, .3, .3, 1.5, 8, 1, .5),
    Kind.ROUNDED: (.9, 1.6, 1, 1, 1, .8, .5),
    Kind.CONSONANT: (.85, .35, .35, 1, 1, 1, 1.2),
    Kind.WEAK: (.3, .1, .1, .6, .6, .4, .4),
    Kind.SILENCE: (.5, .5, .5, .5, .5, .5, .5),
}
# Seconds in which a claim fades before the core and after it, per parameter
_BEFORE = np.array([.055, .075, .07, .022, .03, .04, .04])
_AFTER = np.array([.050, .065, .06, .018, .028, .04, .04])
# fmt: on

_REST = np.zeros(7)
_REACH = 0.4  # seconds around a phoneme within which its claim is counted


@dataclass(frozen=True, slots=True)
class Gesture:
    """A phoneme, or half of a diphthong or affricate, with its pose."""

    start: float
    end: float
    pose: Array  # (7,)
    kind: Kind
    symbol: str  # one IPA letter; "" is silence


def _kind(letter: str) -> Kind:
    if letter in _VOWELS:
        return Kind.VOWEL
    for kind, letters in (
        (Kind.BILABIAL, "pbmɓ"),
        (Kind.LABIODENTAL, "fvʋⱱ"),
        (Kind.ROUNDED, "wɥʍuʃʒ"),
        (Kind.WEAK, "hɦʔʕħkgɡɠŋɴxɣɰqɢχʁʀ"),
    ):
        if letter in letters:
            return kind
    return Kind.CONSONANT


def _table() -> dict[str, tuple[Array, Kind]]:
    poses: dict[str, tuple[float, ...]] = {
        letter: (jaw, rounded, wide, 0, 0, 0.35 if wide > 0.4 else 0.1, 0)
        for letter, (jaw, rounded, wide) in _VOWELS.items()
    }
    poses.update(_CONSONANTS)
    return {letter: (np.array(pose, float), _kind(letter)) for letter, pose in poses.items()}


POSES = _table()


def letters(phone: str) -> list[str]:
    """The one or two letters of an IPA phoneme that the table knows, without marks and length."""
    plain = unicodedata.normalize("NFD", phone).replace("c\N{COMBINING CEDILLA}", "ç")
    return [letter for letter in plain if letter in POSES][:2]


def gestures(segments: Sequence[Segment]) -> list[Gesture]:
    """Segments with their poses; two-letter phonemes become two gestures."""
    found: list[Gesture] = []
    for segment in segments:
        if segment.end <= segment.start or segment.phone.startswith("("):
            continue  # "(en)" marks a switch of language
        parts = letters(segment.phone)
        if not parts:
            found.append(Gesture(segment.start, segment.end, _REST, Kind.SILENCE, ""))
            continue
        share = 0.45 if parts[0] in "td" else 0.5
        middle = segment.start + (segment.end - segment.start) * share
        spans = [(segment.start, segment.end)]
        if len(parts) == 2:
            spans = [(segment.start, middle), (middle, segment.end)]
        for (start, end), letter in zip(spans, parts, strict=True):
            found.append(Gesture(start, end, *POSES[letter], letter))
    return found


def _core(kind: Kind, duration: float) -> float:
    """Seconds on either side of the middle over which a gesture holds in full."""
    if kind is Kind.BILABIAL:
        return 0.5 * duration
    if kind is Kind.LABIODENTAL:
        return 0.42 * duration
    if kind is Kind.SILENCE:
        return max(0.5 * duration - 0.09, 0.1 * duration)
    return 0.3 * duration


def targets(segments: Sequence[Segment], duration: float, rate: int = 100) -> NDArray[np.float32]:
    """The seven parameters, `rate` rows per second, each at the middle of its span."""
    count = int(np.ceil(duration * rate))
    times = (np.arange(count) + 0.5) / rate
    claimed = np.zeros((count, 7))
    weight = np.full((count, 7), 1e-4)
    for gesture in gestures(segments):
        length = gesture.end - gesture.start
        if gesture.kind is Kind.SILENCE and length < 0.03:
            continue
        first = max(0, int((gesture.start - _REACH) * rate))
        last = min(count, int((gesture.end + _REACH) * rate) + 1)
        apart = times[first:last, None] - (gesture.start + gesture.end) / 2
        distance = np.maximum(np.abs(apart) - _core(gesture.kind, length), 0.0)
        fade = np.exp(-distance / np.where(apart < 0, _BEFORE, _AFTER))
        dominance = np.array(_STRENGTH[gesture.kind]) * fade
        claimed[first:last] += dominance * gesture.pose
        weight[first:last] += dominance
    return np.asarray(claimed / weight, np.float32)
