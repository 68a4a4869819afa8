from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lipstream.errors import CheckpointError, MissingError
from lipstream.rendering.musetalk.models.dwpose import (
    MIRRORED,
    DwPose,
    InputWindow,
    decode,
    network_input,
)

SPOT = np.array([30.0, 200.0, 90.0])


class SpotFinder:
    """A network that finds every point at the brightest pixel of what it sees."""

    def __init__(self, points: int = 133) -> None:
        self.points = points
        self.shapes: list[tuple[int, ...]] = []

    def get_inputs(self) -> Sequence[SimpleNamespace]:
        return [SimpleNamespace(name="input")]

    def run(self, names: Sequence[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        assert list(names) == ["simcc_x", "simcc_y"]
        images = feed["input"]
        assert images.dtype == np.float32 and images.flags.c_contiguous
        self.shapes.append(images.shape)
        bright = images[0].sum(0)
        row, column = np.unravel_index(bright.argmax(), bright.shape)
        columns, rows = np.zeros((1, self.points, 576)), np.zeros((1, self.points, 768))
        # Both bins of the pixel: mirroring swaps them.
        columns[..., 2 * column : 2 * column + 2] = rows[..., 2 * row] = 5
        return [columns.astype(np.float32), rows.astype(np.float32)]


@pytest.mark.parametrize("size", [(640, 480), (300, 800), (288, 384), (1000, 1000)])
def test_a_point_is_found_where_it_is(size: tuple[int, int]) -> None:
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    x, y, reach = width * 0.7, height * 0.4, 6
    picture[int(y) - reach : int(y) + reach, int(x) - reach : int(x) + reach] = 90
    picture[int(y) - 1 : int(y) + 1, int(x) - 1 : int(x) + 1] = 255
    network = SpotFinder()
    points = DwPose(network)(picture)
    assert points.shape == (68, 2) and points.dtype == np.float32
    assert network.shapes == [(1, 3, 384, 288)] * 2
    pixel = InputWindow.around(width, height).width / 288
    assert np.abs(points - (x, y)).max() <= 2 * pixel


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (301, 77)])
def test_the_window_holds_the_picture_and_leads_back(size: tuple[int, int]) -> None:
    window = InputWindow.around(*size)
    assert window.width / window.height == pytest.approx(288 / 384)
    corners = window.points(np.array([[0, 0], [288, 384]], np.float32))
    assert np.allclose(corners.mean(0), np.array(size) / 2, atol=1e-3)
    assert (corners[0] < 0).all() and (corners[1] > size).all()
    assert max(size[0] / window.width, size[1] / window.height) == pytest.approx(1 / 1.25)


def test_what_lies_outside_the_picture_is_black() -> None:
    seen = InputWindow.around(100, 100).sample(np.full((100, 100, 3), 255, np.uint8))
    assert seen.shape == (384, 288, 3)
    assert not seen[:40].any() and (seen[150:230, 80:200] == 255).all()


def test_input_is_normalised_rgb() -> None:
    images = network_input(np.broadcast_to(SPOT.astype(np.uint8), (384, 288, 3)))
    assert images.shape == (1, 3, 384, 288) and images.dtype == np.float32
    expected = (SPOT - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    assert np.allclose(images[0, :, 5, 7], expected, atol=1e-6)


def test_bins_are_half_pixels_and_unsure_points_lie_outside() -> None:
    columns, rows = np.zeros((3, 576), np.float32), np.zeros((3, 768), np.float32)
    columns[0, 575] = rows[0, 7] = 1
    columns[1, 4] = 1
    columns[2], rows[2] = -1, 2
    assert decode(columns, rows).tolist() == [[287.5, 3.5], [-0.5, -0.5], [-0.5, -0.5]]


def test_mirroring_twice_is_nothing() -> None:
    assert sorted(MIRRORED) == list(range(68))
    assert [MIRRORED[MIRRORED[point]] for point in range(68)] == list(range(68))


def test_points_of_the_left_and_the_right_are_swapped_in_the_mirror() -> None:
    class Sided(SpotFinder):
        """Points of the jaw's right half on the left of the picture, the others right."""

        def run(self, names: Sequence[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
            columns, rows = np.zeros((1, 133, 576)), np.zeros((1, 133, 768))
            columns[0, 23:31, 100], columns[0, 31:, 475] = 1, 1
            rows[..., 300] = 1
            return [columns, rows]

    points = DwPose(Sided())(np.zeros((384, 288, 3), np.uint8))
    assert (points[:8, 0] < 144).all() and (points[9:17, 0] > 144).all()


def test_another_network_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"gives \(1, 17, 576\)"):
        DwPose(SpotFinder(points=17))(np.zeros((20, 20, 3), np.uint8))


def test_without_onnxruntime_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingError, match=r"need onnxruntime; run .*\[dwpose\]"):
        DwPose.from_file(tmp_path / "dw.onnx")


def test_a_missing_or_damaged_file_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(content: bytes, providers: list[str]) -> None:
        raise RuntimeError(f"{len(content)} bytes of nonsense\nwith a trace")

    fake = SimpleNamespace(InferenceSession=refuse, get_available_providers=list)
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    path = tmp_path / "dw.onnx"
    with pytest.raises(MissingError, match="is missing: run 'lipstream models pull"):
        DwPose.from_file(path)
    path.write_bytes(b"no network")
    with pytest.raises(CheckpointError, match="is no ONNX network") as caught:
        DwPose.from_file(path)
    assert "\n" not in str(caught.value)


def test_onnxruntime_itself_runs_such_a_network(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    make, kinds = onnx.helper, onnx.TensorProto
    columns, rows = np.zeros((1, 133, 576), np.float32), np.zeros((1, 133, 768), np.float32)
    columns[..., 287:289], rows[..., 384] = 1, 1
    nodes = []
    for name in ("simcc_x", "simcc_y"):
        nodes += [
            make.make_node("ReduceSum", ["input"], [f"{name}_sum"], keepdims=0),
            make.make_node("Mul", [f"{name}_sum", "nothing"], [f"{name}_zero"]),
            make.make_node("Add", [f"{name}_zero", f"{name}_given"], [name]),
        ]
    given = [
        onnx.numpy_helper.from_array(columns, "simcc_x_given"),
        onnx.numpy_helper.from_array(rows, "simcc_y_given"),
        onnx.numpy_helper.from_array(np.zeros((), np.float32), "nothing"),
    ]
    graph = make.make_graph(
        nodes,
        "tiny",
        [make.make_tensor_value_info("input", kinds.FLOAT, [1, 3, 384, 288])],
        [
            make.make_tensor_value_info("simcc_x", kinds.FLOAT, columns.shape),
            make.make_tensor_value_info("simcc_y", kinds.FLOAT, rows.shape),
        ],
        given,
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    path = tmp_path / "dw.onnx"
    path.write_bytes(model.SerializeToString())
    points = DwPose.from_file(path)(np.zeros((200, 160, 3), np.uint8))
    assert np.abs(points - (80, 100)).max() < 1
