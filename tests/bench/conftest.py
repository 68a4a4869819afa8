"""A tiny workload: networks that paint in milliseconds on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lipstream.bench.workload import Workload


@pytest.fixture(scope="session")
def work() -> Workload:
    torch = pytest.importorskip("torch", reason="MuseTalk's networks need torch")
    from lipstream.bench.workload import TINY, make_workload

    return make_workload(TINY, torch.device("cpu"))
