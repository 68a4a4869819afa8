"""Sessions that a server keeps, as an operator finds them."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from lipstream.errors import OutputError
from lipstream.server.outputs.recorder import open_folder
from lipstream.server.settings import ServeSettings
from tests.server.app_client import AppClient, run_client, until
from tests.server.fake_runtime import FakeRuntime


async def watch(client: AppClient, made: dict[str, Any]) -> None:
    """Look at all units of a session."""
    async for _ in client.session(made).units():
        pass


def files(folder: Path) -> list[Path]:
    """The recordings that are whole."""
    return sorted(folder.glob("*.mp4"))


def test_a_session_is_kept_when_it_ends(tmp_path: Path) -> None:
    async def test(client: AppClient) -> None:
        events: list[tuple[str, dict[str, Any]]] = []
        client.manager.on_event = lambda kind, data: events.append((kind, dict(data)))
        made = await client.open()
        assert made["recorded"] is True
        await watch(client, made)
        await client.http.delete(f"/v1/sessions/{made['id']}")
        await until(lambda: len(events) == 3)
        (file,) = files(tmp_path)
        name = rf"\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\dZ_face_{made['id'][:8]}\.mp4"
        assert re.fullmatch(name, file.name), file.name
        kept = {"session": made["id"], "avatar": "face", "file": file.name, "seconds": 0.04}
        assert events[-1] == ("recording.kept", {**kept, "captions": 0})
        assert 'lipstream_recordings_total{outcome="kept"} 1.0' in await client.metrics()

    run_client(test, ServeSettings(rate=0, record=tmp_path))


def test_a_session_may_be_left_out(tmp_path: Path) -> None:
    async def test(client: AppClient) -> None:
        for record, recorded in ((False, False), (True, True)):
            body = {"avatar": "face", "record": record}
            made = (await client.http.post("/v1/sessions", json=body)).json()
            assert made["recorded"] is recorded
            await watch(client, made)
            await client.http.delete(f"/v1/sessions/{made['id']}")
        await until(lambda: len(files(tmp_path)) == 1)

    run_client(test, ServeSettings(rate=0, record=tmp_path))


def test_the_end_of_the_server_waits_for_the_files(tmp_path: Path) -> None:
    async def test(client: AppClient) -> None:
        await watch(client, await client.open())

    run_client(test, ServeSettings(rate=0, record=tmp_path))
    assert len(files(tmp_path)) == 1


def test_a_recorded_session_counts_for_more(tmp_path: Path) -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        assert client.session(made).cost == client.runtime.cost.with_outputs(recorded=True)
        body = {"avatar": "face", "record": False}
        plain = (await client.http.post("/v1/sessions", json=body)).json()
        assert client.session(plain).cost == client.runtime.cost

    run_client(
        test, ServeSettings(rate=0, record=tmp_path, cores=16), runtime=FakeRuntime(parallelism=9)
    )


@pytest.mark.parametrize("cause", ["the folder is gone", "no thread is left"])
def test_one_that_fails_is_told_and_the_session_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    def start(self: threading.Thread) -> None:
        if self.name == "recording":
            raise RuntimeError("can't start new thread")
        original(self)

    original = threading.Thread.start
    if cause == "no thread is left":
        monkeypatch.setattr(threading.Thread, "start", start)

    async def test(client: AppClient) -> None:
        events: list[tuple[str, dict[str, Any]]] = []
        client.manager.on_event = lambda kind, data: events.append((kind, dict(data)))
        made = await client.open()
        await watch(client, made)
        await until(lambda: len(events) == 2)
        assert events[1][0] == "recording.failed" and str(tmp_path) not in str(events)
        (told,) = (await client.http.get("/v1/sessions")).json()["sessions"]
        assert told["recorded"] is False
        assert client.session(made).cost == client.runtime.cost

    run_client(test, ServeSettings(rate=0, record=tmp_path / "gone"))


def test_a_folder_that_cannot_be_written_is_named_at_the_start(tmp_path: Path) -> None:
    open_folder(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"--record .*file cannot be written: "):
        open_folder(tmp_path / "file")
