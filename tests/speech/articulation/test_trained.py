"""The network that ships, on speech whose phonemes are known to the sample."""

from __future__ import annotations

import json
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lipstream.speech.articulation.encoder import ArticulationEncoder
from lipstream.speech.articulation.lip_gap import lip_gap
from training.phonemes import ARPABET, Segment, targets

CLIPS = Path(__file__).parents[3] / "benchmarks" / "clips"
NAMES = ("tts_en_espeak", "tts_en_flite_slt", "tts_ko_espeak", "tts_zh_espeak")


def encoded(name: str) -> tuple[NDArray[np.float32], list[Segment]]:
    """The encoder's lip gap for a clip at 25 fps, and the clip's phonemes."""
    with wave.open(str(CLIPS / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels()) == (16000, 1)
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    timing = json.loads((CLIPS / f"{name}.json").read_text())
    ipa = timing["alphabet"] == "ipa"
    segments = [
        Segment(s["start"], s["end"], s["phone"] if ipa else ARPABET[s["phone"]])
        for s in timing["segments"]
    ]
    encoder = ArticulationEncoder.from_file()
    samples = np.zeros(len(pcm) + encoder.plan.future, np.float32)
    samples[: len(pcm)] = pcm / 32768
    pose = encoder.open(Fraction(25)).advance(samples, range(len(pcm) // 640))
    return lip_gap(pose), segments


@pytest.mark.parametrize("name", NAMES)
def test_the_lip_gap_follows_the_phonemes_in_time(name: str) -> None:
    gap, segments = encoded(name)
    goal = lip_gap(targets(segments, len(gap) / 25 + 1))
    middles = (np.arange(len(gap)) + 0.5) * 0.04

    def likeness(late: float) -> float:
        shifted = np.interp(middles - late, (np.arange(len(goal)) + 0.5) / 100, goal)
        return float(np.corrcoef(gap, shifted)[0, 1])

    by_lag = {ms: likeness(ms / 1000) for ms in range(-120, 121, 10)}
    assert by_lag[0] >= 0.8
    best = max(by_lag, key=by_lag.__getitem__)
    assert -40 <= best <= 40


def test_lips_meet_where_they_must() -> None:
    seen = count = 0
    for name in NAMES:
        gap, segments = encoded(name)
        middles = (np.arange(len(gap)) + 0.5) * 0.04
        for segment in segments:
            if segment.phone[:1] in tuple("pbm"):
                near = (middles > segment.start - 0.06) & (middles < segment.end + 0.06)
                count += 1
                seen += bool((gap[near] < 0.12).any())
    assert count == 57
    assert seen / count >= 0.9
