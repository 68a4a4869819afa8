"""A hub that refuses, a lost connection and a full disk are one sentence each."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from filelock import FileLock

from lipstream.errors import MissingError, OutputError
from lipstream.weights.catalogue import Source
from tests.weights.bundle import OWNER, pulled, refused
from tests.weights.hub import FakeHub


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
