from __future__ import annotations

import sys

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")
pytest.importorskip("diffusers", reason="comparing needs diffusers, an extra: dev")

from benchmarks.cpu import networks

pytestmark = pytest.mark.benchmarks  # as of all here; said here, others need not import it


@pytest.mark.slow
def test_the_race_of_small_networks_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["networks.py", "--tiny", "--runs", "1"])
    networks.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("diffusers, float32")
    for line in lines[3:]:
        *_, error, psnr = line.split()
        assert line.startswith("ours, ")
        assert float(error) < 0.084 and float(psnr) > 40
