"""flite as a source of speech: voices made from recorded people, with exact phoneme times."""

from __future__ import annotations

import subprocess
from pathlib import Path

import soundfile

from training.phonemes import ARPABET, Segment, Utterance


def say(text: str, voice: str, stretch: float, folder: Path) -> Utterance:
    """Speak `text` with durations multiplied by `stretch`; `folder` holds the passing wav file."""
    path = folder / "flite.wav"
    command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}"]
    command += ["-psdur", "-t", text, "-o", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    samples, sample_rate = soundfile.read(path, dtype="float32")
    segments = []
    start = 0.0
    for token in printed.split():
        phone, _, end = token.partition(":")
        segments.append(Segment(start, float(end), ARPABET[phone]))
        start = float(end)
    return Utterance(samples, sample_rate, tuple(segments), f"flite {voice}")
