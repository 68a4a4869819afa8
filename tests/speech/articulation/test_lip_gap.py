from __future__ import annotations

import numpy as np
import pytest

from lipstream.speech.articulation.lip_gap import lip_gap


@pytest.mark.parametrize(
    ("pose", "gap"),
    [
        ({}, 0.0),
        ({"jaw": 1}, 1.0),
        ({"jaw": 1, "round": 1}, 0.65),
        ({"jaw": 1, "tuck": 1}, 0.25),
        ({"jaw": 1, "close": 0.1}, 1.0),
        ({"jaw": 1, "close": 0.5}, 0.4),
        ({"jaw": 1, "close": 0.8}, 0.0),
    ],
)
def test_what_takes_from_the_gap(pose: dict[str, float], gap: float) -> None:
    names = ("jaw", "round", "wide", "close", "tuck", "teeth", "tongue")
    row = np.array([pose.get(name, 0) for name in names], np.float32)
    assert lip_gap(row) == pytest.approx(gap, abs=1e-6)
    assert lip_gap(np.stack([row, row])).shape == (2,)


def test_the_network_is_taught_the_same_gap() -> None:
    torch = pytest.importorskip("torch")
    from training.train import gap

    poses = np.random.default_rng(0).uniform(0, 1, (200, 7)).astype(np.float32)
    assert gap(torch.from_numpy(poses)).numpy() == pytest.approx(lip_gap(poses), abs=1e-6)
