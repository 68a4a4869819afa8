"""Every part runs with tiny networks, and the report has its results."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch

from benchmarks.gpu import __main__ as program
from benchmarks.gpu import contenders, run
from benchmarks.gpu.run import PARTS, BenchOptions, run_bench
from benchmarks.gpu.virtual_scheduler import VirtualCapacity
from lipstream.bench import sessions
from lipstream.errors import OptionError

ROW = VirtualCapacity(
    "it", "sessions", True, 20.0, 19, 0.0, 0.001, 4.0, 340.0, 400.0, 20.0, 30.0, 40.0, 35.0
)


def quiet(line: str) -> None:
    pass


def test_all_parts_run_with_tiny_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sessions, "REPEATS", 1)
    out = tmp_path / "gpu.json"
    call = ["--tiny", "--batches", "1", "2", "--seconds", "0.5", "--device", "cpu", "--out"]
    assert program.main([*call, str(out)]) == 0
    found = json.loads(out.read_text())
    assert tuple(found["parts"]) == tuple(found["seconds"]) == PARTS
    assert found["failed"] == [] and found["dtype"] == "bfloat16" and found["device"] == "cpu"
    assert all(check["equal"] for check in found["parts"]["equality"])
    assert [one["batch"] for one in found["parts"]["throughput"]["speeds"]] == [1, 1, 1, 2, 2, 2]
    assert {"not encoded"} <= set(found["parts"]["sessions"]["most"])
    assert {"commit", "processor", "packages"} <= set(found["machine"])
    printed = capsys.readouterr().out
    assert all(f"[{part}: " in printed for part in PARTS)


def test_without_the_baseline_only_ours_is_timed() -> None:
    options = BenchOptions(("throughput",), True, baseline=False, batches=(1,), device="cpu")
    found = run_bench(options, quiet).parts["throughput"]
    assert {one["contender"] for one in found["speeds"]} == {"lipstream (b)", "turbo, approximate"}
    assert [one["contender"] for one in found["loops"]] == [
        "lipstream (b)",
        "lipstream (b), planes",
    ]
    assert all(one["ratio"] is None for one in found["loops"])


def test_a_broken_saving_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real: Any = vars(contenders)["converted"]

    def broken(networks: Any, dtype: Any, switches: Any) -> Any:
        made = real(networks, dtype, switches)
        if switches.channels_last:  # ours
            with torch.no_grad():
                dict(made.vae.decoder.named_parameters())["conv_norm_out.weight"][3] = 0
        return made

    monkeypatch.setattr(contenders, "converted", broken)
    out = tmp_path / "gpu.json"
    call = ["--part", "equality", "--tiny", "--batches", "4", "--device", "cpu"]
    assert program.main([*call, "--out", str(out)]) == 1
    assert "lipstream paints something else (decoded" in capsys.readouterr().err
    assert json.loads(out.read_text())["failed"]


def test_too_few_sessions_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "run_schedule", lambda seconds, devices: [replace(ROW, sessions=17)])
    found = run_bench(BenchOptions(("schedule",), True, device="cpu"), quiet)
    assert found.failed == ["the scheduler holds 17 of the 20.0 sessions of 'it'"]


def test_the_parts_before_one_that_fails_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(seconds: float, devices: object) -> Any:
        raise OptionError("no device.")

    monkeypatch.setattr(run, "run_schedule", failing)
    out = tmp_path / "gpu.json"
    call = ["--part", "ceilings", "--part", "schedule", "--tiny", "--device", "cpu"]
    assert program.main([*call, "--out", str(out)]) == 2
    assert capsys.readouterr().err == "benchmarks.gpu: no device.\n"
    assert list(json.loads(out.read_text())["parts"]) == ["ceilings"]


def test_full_networks_are_not_timed_on_a_cpu_by_default() -> None:
    assert run._parts(BenchOptions(), "cpu") == ("ceilings", "schedule")
    assert run._parts(BenchOptions(), "cuda") == PARTS
    assert run._parts(BenchOptions(("schedule", "equality")), "cpu") == ("equality", "schedule")


@pytest.mark.parametrize("batches", [(0,), (33,)])
def test_batches_that_cannot_be_are_refused(batches: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="between 1 and 32"):
        BenchOptions(batches=batches)


@pytest.mark.parametrize("device", ["abacus", "meta"])
def test_devices_that_cannot_be_are_refused(device: str) -> None:
    with pytest.raises(OptionError, match=f"^there is no device '{device}'; use cuda or cpu.$"):
        run_bench(BenchOptions(device=device), quiet)


def test_neither_pyav_nor_aiortc_is_needed() -> None:
    program = "import sys, benchmarks.gpu.run; print({'av', 'aiortc', 'click'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
