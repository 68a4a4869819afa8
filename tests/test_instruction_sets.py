"""The same speech and face on processors with and without newer instructions.

docs/design.md, "The same on every machine", has what was measured; these bounds are the promise.
"""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cpu.instruction_sets import OLDER, Arrays, compare, recorded

FACE = Path(__file__).parents[1] / "examples" / "portrait_closed.png"
MAX_ARTICULATION = 1e-5  # of a range of 1
MAX_LEVELS = 3  # of 255, of any pixel, with the same .avatar file
MAX_SHARE = 1e-4  # of the values that differ at all, with the same .avatar file
MAX_LANDMARK = 0.05  # pixels
MAX_MEAN = 0.05  # levels of 255, of a frame, where each prepares the picture itself

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the instructions are those of x86"),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("renders") / "face.avatar"


@pytest.fixture(scope="module")
def here(prepared: Path) -> Arrays:
    return recorded(FACE, prepared, {})


@pytest.mark.parametrize("name", ["OpenCV without AVX2", "all of it"])
def test_an_older_processor_shows_the_same(prepared: Path, here: Arrays, name: str) -> None:
    found = compare(here, recorded(FACE, prepared, OLDER[name]))
    assert not found.times
    assert found.articulation <= MAX_ARTICULATION
    assert found.levels <= MAX_LEVELS and found.share <= MAX_SHARE
    assert found.landmarks <= MAX_LANDMARK
    assert found.own_mean <= MAX_MEAN


def test_the_same_processor_shows_the_same_bytes(prepared: Path, here: Arrays) -> None:
    """Whatever the number of threads."""
    threads = {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3", "OPENCV_FOR_THREADS_NUM": "3"}
    again = recorded(FACE, prepared, threads)
    assert all(np.array_equal(again[name], here[name]) for name in here)
