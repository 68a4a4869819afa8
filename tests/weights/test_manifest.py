"""The record of what was pulled, the check against it, and the folder and catalogue it needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lipstream.errors import CheckpointError, OptionError
from lipstream.weights.catalogue import BUNDLES, find_bundle
from lipstream.weights.hub import COMMIT
from lipstream.weights.manifest import SHA256, FileState, list_files, models_folder, verify
from tests.weights.bundle import BUNDLE, CONFIG, LARGE, pulled, refused
from tests.weights.hub import FakeHub


def test_a_file_that_changed_here_is_refused_and_repaired(hub: FakeHub, folder: Path) -> None:
    pulled(folder)
    weights = folder / "net/weights.bin"
    weights.write_bytes(LARGE[:-1] + b"!")
    assert f"{weights} is not the file that was pulled" in refused(CheckpointError, folder)
    with pytest.raises(CheckpointError, match="is not the file that was pulled"):
        list(verify(BUNDLE, folder))
    weights.write_bytes(LARGE[:-1])
    with pytest.raises(CheckpointError, match=f"has {len(LARGE) - 1} bytes instead of"):
        list(verify(BUNDLE, folder))
    weights.unlink()
    with pytest.raises(CheckpointError, match="was pulled and is missing"):
        list(verify(BUNDLE, folder))
    pulled(folder)
    assert len(list(verify(BUNDLE, folder))) == 2


def test_files_put_there_by_hand_are_recorded_if_they_are_the_hubs(
    hub: FakeHub, folder: Path
) -> None:
    (folder / "net").mkdir(parents=True)
    (folder / "net/config.json").write_bytes(CONFIG)
    (folder / "net/weights.bin").write_bytes(LARGE)
    assert {found.state for found in list_files(BUNDLE, folder)} == {
        FileState.UNRECORDED,
        FileState.MISSING,
    }
    assert [done.new for done in pulled(folder)] == [False, False]
    assert hub.gets == []
    assert [found.state for found in verify(BUNDLE, folder)] == [FileState.PULLED, FileState.PULLED]


def test_a_damaged_manifest_is_refused(hub: FakeHub, folder: Path) -> None:
    pulled(folder)
    path = folder / "manifest.json"
    contents = json.loads(path.read_text())
    record = contents["files"]["net/config.json"]
    for bad in (
        b"{",
        b"[]",
        json.dumps({**contents, "version": 2}).encode(),
        json.dumps({**contents, "files": {"x": {**record, "size": "1"}}}).encode(),
        json.dumps({**contents, "files": {"x": {**record, "sha256": "1"}}}).encode(),
    ):
        path.write_bytes(bad)
        assert f"{path} is damaged or of another version" in refused(CheckpointError, folder)


def test_the_folder_is_chosen_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIPSTREAM_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setattr("sys.platform", "linux")
    assert models_folder() == Path("/data/lipstream/models")
    (tmp_path / "models").mkdir()
    assert models_folder() == Path("models")
    monkeypatch.setenv("LIPSTREAM_MODELS", "elsewhere")
    assert models_folder() == Path("elsewhere")
    assert models_folder("here") == Path("here")


def test_the_catalogue_is_sound() -> None:
    for name, bundle in BUNDLES.items():
        assert name == bundle.name
        assert {file.part for file in bundle.files} == set(bundle.parts)
        assert len({file.target for file in bundle.files}) == len(bundle.files)
        for part in bundle.parts.values():
            assert part.published.keys() <= {*part.names, *part.alternatives}
            for name, content in part.published.items():
                assert content.size > 0, name
                assert content.sha256 is None or SHA256.fullmatch(content.sha256), name
            if part.name != "taesd":
                assert COMMIT.fullmatch(part.source.revision)
    with pytest.raises(OptionError, match="no weights called 'nobody'; use musetalk"):
        find_bundle("nobody")
