"""The README's figures are those that are committed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import readme


def test_the_readme_says_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["readme.py", "--check"])
    assert readme.main() == 0, "run benchmarks/readme.py"


def test_what_a_gpu_was_measured_at_is_a_table_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for file in readme.RESULTS.glob("*.json"):
        if not file.name.startswith("gpu_"):
            (tmp_path / file.name).write_text(file.read_text())
    monkeypatch.setattr(readme, "RESULTS", tmp_path)
    assert "not been timed on a GPU" in readme.table()
    loops = [
        {"contender": "baseline (a), 4 at once", "fps": 180.0, "ratio": 1.0},
        {"contender": "lipstream (b)", "fps": 560.0, "ratio": 3.1},
        {"contender": "lipstream (b)", "fps": 540.0, "ratio": 3.0},
        {"contender": "lipstream (b), planes", "fps": 580.0, "ratio": 3.2},
    ]
    tried = [
        {"sessions": 20, "held": True, "chunk_ms": 20, "made_p99": 90.0},
        {"sessions": 20, "held": True, "chunk_ms": 100, "made_p99": 170.0},
        {"sessions": 24, "held": False, "chunk_ms": 100, "made_p99": 410.0},
    ]
    gpu = {"before": {"name": "A large GPU"}}
    for name, parts in (
        ("networks", {"throughput": {"loops": loops}}),
        ("sessions", {"sessions": {"tried": tried}}),
    ):
        report = json.dumps({"gpu": gpu, "parts": parts})
        (tmp_path / f"gpu_{name}.json").write_text(report)
    table = readme.table()
    assert "| speech to finished frames | 560 frames/s | >= 500 |" in table
    assert "| live sessions, less than 1 % late | 20 | >= 20 |" in table
    assert "170 ms" in table and "A large GPU" in table
