"""Weights arrive whole and proven, and go on where they stopped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from lipstream.errors import CheckpointError, MissingError
from lipstream.weights.catalogue import Bundle, Content, Source
from lipstream.weights.manifest import Manifest
from lipstream.weights.transfer import pull
from tests.weights.bundle import COMMIT, CONFIG, LARGE, NET, OTHER, OWNER, pulled, refused
from tests.weights.hub import FakeHub, FakeRepository


def test_a_fresh_pull_brings_and_records_every_file(hub: FakeHub, folder: Path) -> None:
    assert [done.new for done in pulled(folder)] == [True, True]
    assert (folder / "net/config.json").read_bytes() == CONFIG
    assert (folder / "net/weights.bin").read_bytes() == LARGE
    assert not (folder / "more").exists()
    record = json.loads((folder / "manifest.json").read_text())["files"]["net/weights.bin"]
    assert record == {
        "repository": OWNER,
        "asked": "main",
        "revision": COMMIT,
        "size": len(LARGE),
        "sha256": hashlib.sha256(LARGE).hexdigest(),
        "licence": "mit",
    }
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert names - {".pull.lock"} == {"config.json", "weights.bin", "manifest.json"}


def test_a_second_pull_needs_no_hub(hub: FakeHub, folder: Path) -> None:
    pulled(folder)
    hub.status = 500
    assert [done.new for done in pulled(folder)] == [False, False]


def test_progress_is_reported_in_bytes(hub: FakeHub, folder: Path) -> None:
    reported: dict[str, list[tuple[int, int | None]]] = {}
    pulled(folder, new_bar=lambda label: lambda *now: reported.setdefault(label, []).append(now))
    assert reported["net/weights.bin"][-1] == (len(LARGE), len(LARGE))
    assert reported["checking net/weights.bin"][-1] == (len(LARGE), len(LARGE))


def test_a_broken_connection_is_opened_again(
    hub: FakeHub, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.cut_after = len(LARGE) // 2
    pulled(folder)
    assert (folder / "net/weights.bin").read_bytes() == LARGE
    first, second = (span for path, span in hub.gets if path.endswith("weights.bin"))
    assert first is None and second is not None and second != "bytes=0-"
    assert capfd.readouterr() == ("", "")


def test_an_interrupted_pull_goes_on_where_it_stopped(hub: FakeHub, folder: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if total == len(LARGE) and done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pulled(folder, new_bar=lambda label: interrupt)
    assert not (folder / "net/weights.bin").exists()
    (part,) = (folder / "net").glob(".*.part")
    have = part.stat().st_size
    assert 0 < have < len(LARGE)
    assert [done.new for done in pulled(folder)] == [False, True]
    assert (folder / "net/weights.bin").read_bytes() == LARGE
    assert hub.gets[-1][1] == f"bytes={have}-"


def test_a_beginning_of_something_else_is_found_out(hub: FakeHub, folder: Path) -> None:
    (folder / "net").mkdir(parents=True)
    part = folder / "net" / f".weights.bin.{COMMIT[:12]}.part"
    part.write_bytes(b"nonsense")
    assert "was damaged on its way here" in refused(CheckpointError, folder)
    assert not part.exists() and not (folder / "net/weights.bin").exists()
    pulled(folder)


def test_a_file_that_changed_upstream_is_refused(hub: FakeHub, folder: Path) -> None:
    """Under the very commit that was recorded: nothing of it is even transferred."""
    pulled(folder)
    (folder / "net/weights.bin").unlink()
    hub.repositories[OWNER].files["deep/weights.bin"] = LARGE[::-1]
    hub.gets.clear()
    assert "is no longer the file on record" in refused(CheckpointError, folder)
    assert hub.gets == [] and not (folder / "net/weights.bin").exists()
    assert [done.new for done in pulled(folder, renew=True)] == [False, True]
    assert [done.new for done in pulled(folder)] == [False, False]


def test_a_missing_file_comes_from_the_recorded_commit(hub: FakeHub, folder: Path) -> None:
    pulled(folder)
    (folder / "net/weights.bin").unlink()
    pulled(folder)
    assert hub.gets[-1][0].endswith(f"/resolve/{COMMIT}/deep/weights.bin")


def test_renewing_takes_the_new_commit(hub: FakeHub, folder: Path) -> None:
    pulled(folder)
    files = {"config.json": CONFIG, "deep/weights.bin": LARGE[::-1]}
    hub.repositories[OWNER] = FakeRepository(files, commit=OTHER)
    assert [done.new for done in pulled(folder)] == [False, False]
    pulled(folder, renew=True)
    assert (folder / "net/weights.bin").read_bytes() == LARGE[::-1]
    assert {record.revision for record in Manifest.load(folder).files.values()} == {OTHER}


def test_a_server_that_announces_another_file_is_found_out(hub: FakeHub, folder: Path) -> None:
    hub.repositories[OWNER].announced["deep/weights.bin"] = LARGE[::-1]
    assert "was damaged on its way here" in refused(CheckpointError, folder)
    assert not (folder / "net/weights.bin").exists()


def pin(published: Content, name: str = "deep/weights.bin") -> Bundle:
    """A bundle of one file whose content is known beforehand."""
    return Bundle("talk", "", {"net": replace(NET, names=(name,), published={name: published})})


def test_the_published_file_is_taken(hub: FakeHub, folder: Path) -> None:
    bundle = pin(Content(len(LARGE), hashlib.sha256(LARGE).hexdigest()))
    (done,) = pull(bundle, folder, ["net"])
    assert done.new and done.path.read_bytes() == LARGE


@pytest.mark.parametrize("content", [LARGE[:-1], LARGE + b"!", LARGE[:-1] + b"!"])
def test_a_file_one_byte_off_is_refused_before_its_transfer(
    hub: FakeHub, folder: Path, content: bytes
) -> None:
    hub.repositories[OWNER].files["deep/weights.bin"] = content
    bundle = pin(Content(len(LARGE), hashlib.sha256(LARGE).hexdigest()))
    with pytest.raises(CheckpointError, match="is not the published file, it"):
        list(pull(bundle, folder, ["net"]))
    assert hub.gets == [] and not list(folder.rglob("*weights*"))
    (done,) = pull(bundle, folder, ["net"], sources={"net": Source(OWNER, COMMIT)})
    assert done.new and done.path.read_bytes() == content


@pytest.mark.parametrize("content", [CONFIG[:-1], CONFIG + b"!", CONFIG[:-1] + b"!"])
def test_a_small_file_one_byte_off_never_gets_its_name(
    hub: FakeHub, folder: Path, content: bytes
) -> None:
    """The hub announces no SHA-256 of these."""
    hub.repositories[OWNER].files["config.json"] = content
    bundle = pin(Content(len(CONFIG), hashlib.sha256(CONFIG).hexdigest()), "config.json")
    with pytest.raises(CheckpointError, match="is not the published file, it"):
        list(pull(bundle, folder, ["net"]))
    assert not list(folder.rglob("*config*")) and not (folder / "manifest.json").exists()


def test_a_published_file_that_was_altered_on_its_way_is_refused(
    hub: FakeHub, folder: Path
) -> None:
    files, bundle = (
        hub.repositories[OWNER],
        pin(Content(len(LARGE), hashlib.sha256(LARGE).hexdigest())),
    )
    files.announced["deep/weights.bin"] = LARGE
    files.files["deep/weights.bin"] = LARGE[:-1] + b"!"
    with pytest.raises(CheckpointError, match="was damaged on its way here"):
        list(pull(bundle, folder, ["net"]))
    assert not list(folder.rglob("*weights*"))


def test_a_known_size_alone_holds_too(hub: FakeHub, folder: Path) -> None:
    with pytest.raises(CheckpointError, match=f"has {len(LARGE)} bytes instead of 7: "):
        list(pull(pin(Content(7)), folder, ["net"]))
    assert [done.new for done in pull(pin(Content(len(LARGE))), folder, ["net"])] == [True]


def test_another_file_in_the_way_is_not_lost(hub: FakeHub, folder: Path) -> None:
    (folder / "net").mkdir(parents=True)
    config = folder / "net/config.json"
    config.write_bytes(b"mine")
    assert "move it away, or replace it with --renew" in refused(CheckpointError, folder)
    assert config.read_bytes() == b"mine"
    pulled(folder, renew=True)
    assert config.read_bytes() == CONFIG


def test_a_folder_in_the_way_is_named(hub: FakeHub, folder: Path) -> None:
    (folder / "net/config.json").mkdir(parents=True)
    assert f"{folder / 'net/config.json'} is a folder" in refused(CheckpointError, folder)


def test_another_repository_can_be_named(hub: FakeHub, folder: Path) -> None:
    hub.repositories["me/mirror"] = hub.repositories.pop(OWNER)
    assert f"{OWNER} at main" in refused(MissingError, folder)
    pulled(folder, sources={"net": Source("me/mirror", COMMIT)})
    record = Manifest.load(folder).files["net/config.json"]
    assert (record.repository, record.asked) == ("me/mirror", COMMIT)
    assert [done.new for done in pulled(folder)] == [False, False]
    (folder / "net/config.json").unlink()
    assert [done.new for done in pulled(folder)] == [True, False]  # from the recorded repository
    assert Manifest.load(folder).files["net/config.json"] == record


def test_offline_takes_the_cache_and_nothing_else(
    hub: FakeHub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids it" in refused(MissingError, folder)
    cache = tmp_path / "cache" / "models--someone--Talk"
    for name, content in hub.repositories[OWNER].files.items():
        path = cache / "snapshots" / COMMIT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(COMMIT)
    assert [done.record.revision for done in pulled(folder)] == [COMMIT, COMMIT]
    assert (folder / "net/weights.bin").read_bytes() == LARGE
    assert hub.gets == []
