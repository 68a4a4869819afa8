from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lipstream.errors import MissingError
from lipstream.speech.articulation.network import PARAMETERS, assemble, load
from tests.speech.articulation.networks import SMALL, small, small_arrays


def test_dimensions_are_read_from_the_arrays() -> None:
    assert small().dimensions == SMALL


def test_a_step_answers_within_zero_and_one() -> None:
    network = small()
    answer = network.step(network.initial_state(), np.full(82, 3.0, np.float32))
    assert answer.shape == (len(PARAMETERS) + 1,)
    assert answer.dtype == np.float32
    assert ((answer > 0) & (answer < 1)).all()


def test_streams_share_weights_and_nothing_else() -> None:
    network = small()
    one, other = network.initial_state(), network.initial_state()
    features = np.random.default_rng(1).standard_normal((4, 82)).astype(np.float32)
    alone = [network.step(one, row) for row in features]
    noise = network.initial_state()
    for row, expected in zip(features, alone, strict=True):
        network.step(noise, -row)
        np.testing.assert_array_equal(network.step(other, row), expected)


def test_weights_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        small().weights["enter"][0, 0] = 1.0


def test_the_step_is_a_gated_recurrent_unit() -> None:
    """Against the textbook formulas, written out in float64."""
    network = small()
    w = {name: network.weights[name].astype(float) for name in SMALL.shapes}
    features = np.random.default_rng(2).standard_normal((5, 82)).astype(np.float32)
    state = network.initial_state()
    lower, upper = np.zeros(6), np.zeros(6)

    def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-x)))

    def gru(name: str, x: NDArray[np.float64], h: NDArray[np.float64]) -> NDArray[np.float64]:
        i = np.split(w[f"{name}_input"] @ x + w[f"{name}_input_bias"], 3)
        s = np.split(w[f"{name}_state"] @ h + w[f"{name}_state_bias"], 3)
        reset, update = sigmoid(i[0] + s[0]), sigmoid(i[1] + s[1])
        return np.asarray((1 - update) * np.tanh(i[2] + reset * s[2]) + update * h)

    for row in features:
        lower = gru("lower", np.maximum(w["enter"] @ row + w["enter_bias"], 0), lower)
        upper = gru("upper", lower, upper)
        expected = sigmoid(w["leave"] @ upper + w["leave_bias"])
        np.testing.assert_allclose(network.step(state, row), expected, atol=1e-5)


def test_an_archive_survives_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "small.npz"
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **small_arrays())
    loaded = load(path)
    np.testing.assert_array_equal(loaded.weights["leave"], small().weights["leave"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"none\.npz is missing"):
        load(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(MissingError, match=r"bad\.npz is damaged"):
        load(path)


def test_a_missing_array_is_named() -> None:
    arrays = small_arrays()
    del arrays["leave_bias"]
    with pytest.raises(MissingError, match="lacks leave_bias"):
        assemble(arrays, "test")


def test_a_wrong_shape_is_named() -> None:
    arrays = small_arrays()
    arrays["upper_state"] = arrays["upper_state"][:, :-1]
    with pytest.raises(MissingError, match=r"upper_state is \(18, 5\), expected \(18, 6\)"):
        assemble(arrays, "test")


def test_the_network_that_ships_loads_and_is_small() -> None:
    network = load()
    assert network.dimensions.look_ahead * 20 <= 80  # ms of look-ahead
    count = sum(int(np.prod(shape)) for shape in network.dimensions.shapes.values())
    assert count <= 190_000
