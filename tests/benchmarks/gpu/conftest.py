"""A tiny workload: networks that paint in milliseconds on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from benchmarks.gpu.synthetic_workload import Workload


@pytest.fixture(scope="session")
def work() -> Workload:
    torch = pytest.importorskip("torch", reason="MuseTalk's networks need torch")
    from benchmarks.gpu.synthetic_workload import TINY, make_workload

    torch.set_num_threads(1)  # threads that wait for each other take longer than the work
    return make_workload(TINY, torch.device("cpu"))
