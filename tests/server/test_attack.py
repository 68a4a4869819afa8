"""The short form of scripts/attack: every attack for a moment, then all together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.timed import judge, measure_until

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.load, pytest.mark.alone]


def test_a_viewer_keeps_his_picture_whatever_strangers_send(tmp_path: Path) -> None:
    """And probes their answers, and the log its size, and the server its files."""

    def attack() -> dict[str, Any]:
        found = tmp_path / "attack.json"
        command = [sys.executable, "-m", "benchmarks.attack", "--short", "--json", str(found)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert found.exists(), done.stderr
        result: dict[str, Any] = json.loads(found.read_text())
        return result

    measured = measure_until(attack, lambda result: not result["missed"])
    assert [one.value["broken"] for one in measured] == [[]] * len(measured)
    judge(not measured[-1].value["missed"], measured, [one.value["missed"] for one in measured])
