"""The example of the original interface, as a user starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.media_files import tone, write_wav

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "original.py"
PORTRAIT = Path(__file__).parents[1] / "data" / "portrait.png"


def run_example(folder: Path, *models: Path) -> str:
    """Its output for 0.4 s of sound; the video lies in a folder that it makes."""
    speech = np.round(tone(0.4, 16_000) * 32767).astype(np.int16)
    wav, movie = write_wav(folder / "speech.wav", speech, 16_000), folder / "results" / "talk.mp4"
    command = [sys.executable, *map(str, (EXAMPLE, PORTRAIT, wav, movie, *models))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert movie.stat().st_size > 1000
    return done.stdout


def test_it_runs_with_the_puppet(tmp_path: Path) -> None:
    output = run_example(tmp_path)
    assert "talk.mp4: 10 frames; latents (1, 8, 32, 32)" in output
    assert "live: 10 frames" in output


@pytest.mark.full
def test_it_runs_with_musetalk(tmp_path: Path, models: Path) -> None:
    output = run_example(tmp_path, models)
    assert "talk.mp4: 10 frames; latents (1, 8, 32, 32)" in output
    # Tiny networks on a busy processor may fall behind the clock: then pictures repeat.
    assert "live: " in output
