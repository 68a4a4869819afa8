"""Weights arrive whole and proven, go on where they stopped, and are refused in words."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from lipstream.errors import CheckpointError, LipstreamError, MissingError, OptionError, OutputError
from lipstream.weights.catalogue import BUNDLES, Bundle, BundlePart, Source, find_bundle
from lipstream.weights.manifest import FileState, Manifest, list_files, models_folder, verify
from lipstream.weights.transfer import PullResult, pull
from tests.weights.hub import FakeHub, FakeRepository, serving

OWNER = "someone/Talk"
LARGE = bytes(range(256)) * 2000
CONFIG = b'{"wide": 3}'
COMMIT = "c0ffee" + 34 * "0"
OTHER = "decade" + 34 * "0"

SOURCE = Source(OWNER)
NET = BundlePart("net", "a network", "mit", SOURCE, "net", ("config.json", "deep/weights.bin"))
MORE = BundlePart("more", "more", "mit", SOURCE, "more", ("more.bin",), optional=True)
BUNDLE = Bundle("talk", "for tests", {"net": NET, "more": MORE})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    files = {"config.json": CONFIG, "deep/weights.bin": LARGE, "more.bin": b"more"}
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1 << 14)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between two attempts
    with serving(FakeHub({OWNER: FakeRepository(files)})) as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        yield fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def pulled(folder: Path, *parts: str, **options: object) -> list[PullResult]:
    return list(pull(BUNDLE, folder, parts or ("net",), **options))  # type: ignore[arg-type]


def refused(kind: type[LipstreamError], folder: Path, **options: object) -> str:
    with pytest.raises(kind) as caught:
        pulled(folder, **options)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


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


def test_a_pinned_hash_holds_from_the_first_pull(hub: FakeHub, folder: Path) -> None:
    pinned = replace(NET, names=("deep/weights.bin",), hashes={"deep/weights.bin": 64 * "0"})
    bundle = Bundle("talk", "", {"net": pinned})
    with pytest.raises(CheckpointError, match="is not the file that lipstream was tested with"):
        list(pull(bundle, folder, ["net"]))
    assert hub.gets == []
    (done,) = pull(bundle, folder, ["net"], sources={"net": Source(OWNER, COMMIT)})
    assert done.new


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


def test_what_the_hub_does_not_have_is_named(hub: FakeHub, folder: Path) -> None:
    del hub.repositories[OWNER].files["config.json"]
    assert f"{OWNER} at main has no file config.json" in refused(MissingError, folder)
    wrong = {"net": Source(OWNER, "v9")}
    assert f"{OWNER} has no revision v9" in refused(MissingError, folder, sources=wrong)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_names_the_token(hub: FakeHub, folder: Path, status: int) -> None:
    hub.status = status
    assert "set HF_TOKEN" in refused(MissingError, folder)


def test_a_gated_repository_opens_with_a_token(
    hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories[OWNER].gated, hub.token = True, "hf_secret"
    sentence = refused(MissingError, folder)
    assert "is gated: accept its terms" in sentence and "HF_TOKEN" in sentence
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert len(pulled(folder)) == 2
    assert hub.leaks == 0  # the token is the hub's; large files come from elsewhere


@pytest.mark.parametrize(("status", "reason"), [(404, "does not exist"), (500, "answered 500")])
def test_other_refusals_are_named(hub: FakeHub, folder: Path, status: int, reason: str) -> None:
    hub.status = status
    assert reason in refused(MissingError, folder)


def test_a_missing_connection_is_named(
    hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert "check the connection and HF_ENDPOINT" in refused(MissingError, folder)


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


def test_a_full_disk_is_foreseen(
    hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled(folder)
    (folder / "net/weights.bin").unlink()
    monkeypatch.setattr("lipstream.weights.transfer.free_space", lambda path: 1000)
    assert "has no room for 1 MB" in refused(OutputError, folder)


def test_a_disk_that_fills_up_is_named_and_the_rest_comes_later(
    hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled(folder)
    (folder / "net/weights.bin").unlink()

    def full(file: object, block: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("lipstream.weights.hub._ProgressFile.write", full)
        assert "the disk is full; free some space" in refused(OutputError, folder)
    assert [done.new for done in pulled(folder)] == [False, True]


def test_two_pulls_do_not_meet(hub: FakeHub, folder: Path) -> None:
    folder.mkdir()
    with FileLock(folder / ".pull.lock"):
        assert "another pull" in refused(OutputError, folder)


def test_a_folder_that_cannot_be_made_is_named(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sentence = refused(OutputError, tmp_path / "file" / "models")
    assert f"{tmp_path}/file/models cannot be written: not a directory" in sentence


def test_a_folder_that_cannot_be_written_is_named(
    hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(FileLock, "acquire", closed)  # the tests may run as root
    assert f"the folder {folder} is not writable; choose" in refused(OutputError, folder)


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
            assert part.hashes.keys() <= set(part.names)
    with pytest.raises(OptionError, match="no weights called 'nobody'; use musetalk"):
        find_bundle("nobody")
