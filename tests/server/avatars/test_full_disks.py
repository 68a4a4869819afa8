"""A full disk is told as one, and no answer says where the server keeps its files."""

from __future__ import annotations

import errno
import json
import shutil
from collections import namedtuple
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import UploadFile

from lipstream.errors import ArchiveError, OutputError, disk_is_full
from lipstream.server.avatars import sandbox, uploads
from lipstream.server.avatars.sandbox import DecodeJob
from lipstream.server.avatars.stores.base import StoreError
from lipstream.server.errors import DISK_FULL, without_folders
from lipstream.server.settings import ServeSettings, UploadLimits
from tests.server.app_client import AppClient, run_client
from tests.server.avatars.portraits import FACE, prepared
from tests.server.fake_runtime import FakeRuntime

Usage = namedtuple("Usage", "total used free")


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device", "/srv/secret/place/file")


def of_the_store(error: OSError) -> StoreError:
    """The error as a store raises it."""
    raised = StoreError(str(error))
    raised.__cause__ = error
    return raised


async def refused(client: AppClient) -> None:
    answer = await client.http.post("/v1/avatars", files=FACE)
    assert answer.status_code == 507
    assert answer.json() == {"error": {"code": "disk_full", "message": DISK_FULL}}
    assert len((await client.http.get("/v1/avatars?all=1")).json()["avatars"]) == 1


def test_while_a_form_is_received(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UploadFile, "write", full)
    run_client(refused)


@pytest.mark.parametrize("step", ["_copy", "tempfile.mkdtemp"])
def test_while_it_is_stored(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    async def test(client: AppClient) -> None:
        monkeypatch.setattr(f"lipstream.server.avatars.uploads.{step}", full)
        await refused(client)
        monkeypatch.undo()

    run_client(test)


def test_before_it_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(6 << 20, 5 << 20, 1 << 20))
    run_client(refused, ServeSettings(rate=0, data=tmp_path))


def test_while_a_file_is_decoded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The child's message, and what becomes of it."""
    monkeypatch.setattr(sandbox, "_confine", lambda job: None)
    job = DecodeJob("speech", "a.wav", "out", UploadLimits(), 0)

    def not_written(job: DecodeJob) -> Any:
        try:
            full()
        except OSError as error:
            raise OutputError("out: the disk is full; free some space in /tmp/x.") from error

    for fails in (full, not_written):
        monkeypatch.setattr(sandbox, "make_speech", fails)
        assert sandbox.main(json.dumps(asdict(job))) == 0
        code, message = json.loads(capsys.readouterr().out)["error"]
        assert (uploads.STATUS[code], message) == (507, DISK_FULL)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (of_the_store(OSError(errno.ENOSPC, "No space left on device", "/srv/x")), DISK_FULL),
        (
            shutil.Error([("/srv/a/b", "/srv/c/d", "[Errno 5] Input/output error: '/srv/c/d'")]),
            "its files could not be read or kept: an error of the file system.",
        ),
        (
            of_the_store(PermissionError(errno.EACCES, "Permission denied", "/srv/a")),
            "its files could not be read or kept: permission denied.",
        ),
        (ArchiveError("/srv/avatars/x/a.avatar is damaged."), "a.avatar is damaged."),
    ],
)
def test_an_avatar_that_cannot_be_kept_says_why_and_not_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    async def fails(*_: Any) -> None:
        raise error

    async def test(client: AppClient) -> None:
        monkeypatch.setattr(client.app.state.registry._store, "upload", fails)
        shown = await prepared(client, await client.http.post("/v1/avatars", files=FACE))
        assert (shown["status"], shown["reason"]) == ("failed", reason)

    run_client(test, ServeSettings(rate=0, data=tmp_path))


def test_a_kept_avatar_that_is_damaged_does_not_say_where_it_is(tmp_path: Path) -> None:
    data = tmp_path / "a folder of mine"
    (data / "a1").mkdir(parents=True)
    (data / "a1" / "prepared.avatar").write_text("PK")
    (data / "a1" / "label.json").write_text('{"name": "Old"}')

    async def test(client: AppClient) -> None:
        kept = (await client.http.get("/v1/avatars?all=1")).json()["avatars"][1]
        assert kept["status"] == "failed" and "prepared.avatar" in kept["reason"]
        assert "mine" not in kept["reason"] and tmp_path.name not in kept["reason"]

    run_client(test, ServeSettings(rate=0, data=data))


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("/srv/data/a.png is damaged.", "a.png is damaged."),
        ("face.png is no picture; see /docs.", "face.png is no picture; see /docs."),
        ("give 'C:\\Users\\me\\a.png' again", "give 'a.png' again"),
        ("see https://example.org/a/b for it", "see https://example.org/a/b for it"),
        (
            "the disk is full; free some space in /tmp/x/y.",
            "the disk is full; free some space in y.",
        ),
        ("/kept here/x/a.png is damaged", "x/a.png is damaged"),
    ],
)
def test_sentences_lose_their_folders(sentence: str, said: str) -> None:
    assert without_folders(sentence, Path("/kept here")) == said


def test_what_a_full_disk_is() -> None:
    cause = OSError(errno.EDQUOT, "Disk quota exceeded")
    error = OutputError("x cannot be written.")
    error.__cause__ = cause
    assert disk_is_full(cause) and disk_is_full(error)
    assert not disk_is_full(OSError(errno.EIO, "")) and not disk_is_full(None)


def test_the_choice_of_a_backend_is_told_without_folders() -> None:
    async def test(client: AppClient) -> None:
        shown = (await client.http.get("/v1/config")).json()["reason"]
        assert shown == "models holds no musetalk weights"

    runtime = FakeRuntime()
    runtime.reason = "/home/me/.local/share/lipstream/models holds no musetalk weights"
    run_client(test, runtime=runtime)
