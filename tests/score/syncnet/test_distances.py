from __future__ import annotations

import numpy as np
import pytest

from lipstream.score.syncnet.distances import MAX_SHIFT, Agreement, by_offset


@pytest.mark.parametrize("late", [-5, -1, 0, 3, 15])
def test_a_planted_shift_is_where_the_distance_is_least(late: int) -> None:
    features = np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)
    lips = np.roll(features, late, axis=0)
    distances = by_offset(lips, features)
    found = Agreement.of(distances)
    assert len(distances) == 2 * MAX_SHIFT + 1
    assert found.offset_ms == 40 * late
    assert found.lse_d < 0.5
    assert found.lse_c == pytest.approx(np.median(distances) - found.lse_d)


def test_distances_are_those_of_torch() -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(1)
    lips, sound = (random.standard_normal((40, 8)).astype(np.float32) for _ in range(2))
    padded = torch.nn.functional.pad(torch.from_numpy(sound), (0, 0, MAX_SHIFT, MAX_SHIFT))
    width = 2 * MAX_SHIFT + 1
    published = [
        torch.nn.functional.pairwise_distance(
            torch.from_numpy(lips[[i]]).repeat(width, 1), padded[i : i + width]
        )
        for i in range(len(lips))
    ]
    expected = torch.stack(published, 1).mean(1).numpy()
    assert by_offset(lips, sound) == pytest.approx(expected, abs=1e-5)
