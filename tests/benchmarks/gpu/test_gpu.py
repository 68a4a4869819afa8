"""The GPU's own ways through the benchmark run, and paint the same."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")

import torch

from benchmarks.gpu.ceilings import measure_ceilings
from benchmarks.gpu.run import BenchOptions, run_bench
from lipstream.bench.device_timing import time_ms

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]


def quiet(line: str) -> None:
    pass


def test_tiny_networks_are_equal_and_timed() -> None:
    options = BenchOptions(
        ("ceilings", "equality", "throughput"), tiny=True, batches=(1, 4), device="cuda"
    )
    report = run_bench(options, quiet)
    assert report.failed == []
    assert report.dtype == "float16" and report.device == "cuda"
    speeds = report.parts["throughput"]["speeds"]
    assert {speed["batch"] for speed in speeds} == {1, 4}
    assert all(0 < speed["best"] <= speed["ms"] for speed in speeds)


def test_sessions_are_served() -> None:
    options = BenchOptions(("sessions",), tiny=True, batches=(4,), seconds=1.0, device="cuda")
    tried = run_bench(options, quiet).parts["sessions"]["tried"]
    assert tried[0]["sessions"] == 1 and tried[0]["frames"] > 0


def test_ceilings_have_the_copy_to_the_host() -> None:
    names = [ceiling.name for ceiling in measure_ceilings(torch.device("cuda"), tiny=True)]
    assert "copy to pinned memory of the host" in names


def test_time_is_the_device_s() -> None:
    """A launch returns at once; what it launched is waited for."""
    device = torch.device("cuda")
    one = torch.randn((2048, 2048), device=device)

    def work() -> None:
        for _ in range(20):
            torch.mm(one, one)

    work()
    assert time_ms(device, work) > time_ms(device, lambda: None)
