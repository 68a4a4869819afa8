"""The published network's shapes with synthetic weights: no real ones were at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipstream.errors import CheckpointError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

from lipstream.score.syncnet.network import FEATURES, SyncNet, load_syncnet  # noqa: E402


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "syncnet_v2.model"
    torch.save(SyncNet().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def network(weights: Path) -> SyncNet:
    return load_syncnet(weights)


def test_the_tensors_are_those_of_the_published_file(network: SyncNet) -> None:
    """Some of its names and shapes, as the evaluation's own class has them."""
    shapes = {name: tuple(one.shape) for name, one in network.state_dict().items()}
    assert shapes["netcnnaud.0.weight"] == (64, 1, 3, 3)
    assert shapes["netcnnaud.18.weight"] == (512, 256, 5, 4)
    assert shapes["netfcaud.3.weight"] == (1024, 512)
    assert shapes["netfclip.0.weight"] == (512, 512)
    assert shapes["netcnnlip.0.weight"] == (96, 3, 5, 7, 7)
    assert shapes["netcnnlip.18.weight"] == (512, 256, 1, 6, 6)
    assert sum(one.numel() for one in network.parameters()) == 13_631_616


def test_a_run_of_frames_is_seen_as_its_windows_of_five(network: SyncNet) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (6, 224, 224, 3), np.uint8)
    seen = network.see(faces)
    assert seen.shape == (2, FEATURES)
    assert network.see(faces[1:6])[0] == pytest.approx(seen[1], abs=1e-4)
    planes = torch.from_numpy(faces[:5, :, :, ::-1].copy()).permute(3, 0, 1, 2)[None].float()
    with torch.inference_mode():
        published = network.netfclip(network.netcnnlip(planes).flatten(1))[0].numpy()
    assert seen[0] == pytest.approx(published, abs=1e-4)


def test_a_fifth_of_a_second_is_heard_every_frame(network: SyncNet) -> None:
    coefficients = np.random.default_rng(0).standard_normal((28, 13)).astype(np.float32)
    heard = network.hear(coefficients)
    assert heard.shape == (3, FEATURES)
    window = torch.from_numpy(coefficients[4:24].T.copy())[None, None]
    with torch.inference_mode():
        published = network.netfcaud(network.netcnnaud(window).flatten(1))[0].numpy()
    assert heard[1] == pytest.approx(published, abs=1e-4)


def test_old_files_do_not_count_batches(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    old = {name: one for name, one in state.items() if "num_batches" not in name}
    torch.save(old, tmp_path / "old.model", _use_new_zipfile_serialization=False)
    found = load_syncnet(tmp_path / "old.model").state_dict()
    assert all(torch.equal(found[name], state[name]) for name in old)


def test_another_file_is_named(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.model cannot be read: No such file"):
        load_syncnet(tmp_path / "none.model")
    cut = tmp_path / "cut.model"
    cut.write_bytes(weights.read_bytes()[:824_000])
    with pytest.raises(CheckpointError, match="damaged, cut short"):
        load_syncnet(cut)
    state = torch.load(weights, weights_only=True)
    other = tmp_path / "other.model"
    torch.save({**state, "netfcaud.0.bias": torch.zeros(7)}, other)
    with pytest.raises(CheckpointError, match=r"netfcaud\.0\.bias is \(7,\) and not \(512,\)"):
        load_syncnet(other)
    torch.save({name: state[name] for name in state if name != "netfcaud.0.bias"}, other)
    with pytest.raises(CheckpointError, match=r"has no tensor netfcaud\.0\.bias; --syncnet takes"):
        load_syncnet(other)
    torch.save([1, 2], other)
    with pytest.raises(CheckpointError, match="no table of tensors"):
        load_syncnet(other)
