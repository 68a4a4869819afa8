from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

from benchmarks import benchmark_lipsync


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["--tiny", "--models"])
def test_a_part_of_the_second_is_counted_as_such(
    weights: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [weights, str(models)] if weights == "--models" else [weights]
    options = ["--backend", "musetalk", "--device", "cpu", "--frames", "2", "--runs", "2"]
    out = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["benchmark_lipsync.py", *options, *given, "--out", str(out)])
    assert benchmark_lipsync.main() == 0
    found = json.loads(out.read_text())["lipsync"]
    assert found["precision"] == "float32" and found["frames"] == 2
    # Four frames are 0.16 s of speech.
    assert found["ms_per_second"] == pytest.approx(1000 * found["total_s"] / 0.16)
    assert found["times_real_time"] == pytest.approx(0.16 / found["total_s"])
