"""Avatars that several servers share: each follows what the others do to the store."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lipstream.avatar.avatar import Avatar
from lipstream.server.admission import Cost
from lipstream.server.avatars import store_watch
from lipstream.server.avatars.stores.base import Label
from lipstream.server.settings import ServeSettings
from tests.fakes import blank_avatar
from tests.server.app_client import open_client, until
from tests.server.avatars.portraits import FACE, prepared
from tests.server.avatars.shared_servers import (
    ONE,
    entry_of,
    look,
    looks,
    ready,
    run,
    shared,
    shown,
)
from tests.server.fake_runtime import FakeRuntime

SETTINGS = ServeSettings(rate=0, cores=8, connect_timeout_s=600)


@pytest.fixture(autouse=True)
def _seek_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_watch, "SEEK_S", 0.0)


def test_an_upload_on_one_server_talks_on_another(tmp_path: Path) -> None:
    async def test() -> None:
        async with shared(tmp_path) as these:
            mine, yours = await these.start(), await these.start()
            answer = await mine.http.post("/v1/avatars", files=FACE, data={"motion": "calm"})
            avatar = answer.json()["id"]
            early = await yours.http.post("/v1/sessions", json={"avatar": avatar})
            assert early.status_code == 409 and early.json()["error"]["code"] == "preparing"
            assert early.headers["Retry-After"] == "1"
            assert (await prepared(mine, answer))["status"] == "ready"
            await look(yours)
            await ready(yours, avatar)
            await yours.open(avatar)
            assert yours.runtime.sessions[0].avatar.size == (256, 256)
            assert yours.runtime.sessions[0].motion == "calm"
            listed = (await yours.http.get("/v1/avatars")).json()["avatars"]
            assert [one["id"] for one in listed] == ["face"], "it is still its uploader's"

    run(test)


def test_a_failed_upload_says_why_everywhere(tmp_path: Path) -> None:
    async def test() -> None:
        async with shared(tmp_path) as these:
            mine, yours = await these.start(), await these.start()
            data = {"face": "7"}
            answer = await mine.http.post("/v1/avatars", files=FACE, data=data)
            task = (await entry_of(mine, answer.json()["id"])).task
            assert task is not None
            reason = (await prepared(mine, answer))["reason"]
            await until(task.done)  # by then the others are told
            told = await shown(yours, answer.json()["id"])
            assert (told["status"], told["reason"]) == ("failed", reason)

    run(test)


def test_a_delete_reaches_all_and_sessions_go_on(tmp_path: Path) -> None:
    async def test() -> None:
        async with shared(tmp_path) as these:
            mine, yours = await these.start(), await these.start()
            await these.put()
            for server in (mine, yours):
                await ready(server)
            session = await yours.open(ONE)
            assert (await mine.http.delete(f"/v1/avatars/{ONE}")).status_code == 204
            assert (await mine.http.get(f"/v1/avatars/{ONE}")).status_code == 404
            await look(yours)
            refused = await yours.http.post("/v1/sessions", json={"avatar": ONE})
            assert refused.status_code == 404
            await yours.connect(session)

    run(test)


def test_a_delete_ends_the_preparation_elsewhere(tmp_path: Path) -> None:
    async def test() -> None:
        async with shared(tmp_path) as these:
            mine, yours = await these.start(), await these.start()
            answer = await mine.http.post("/v1/avatars", files=FACE)
            avatar = answer.json()["id"]
            task = (await entry_of(mine, avatar)).task
            assert task is not None
            assert (await yours.http.delete(f"/v1/avatars/{avatar}")).status_code == 204
            await look(mine)
            await until(task.done)
            for server in (mine, yours):
                assert (await server.http.get(f"/v1/avatars/{avatar}")).status_code == 404

    run(test)


def test_progress_is_told_by_all_and_a_dead_servers_upload_fails(tmp_path: Path) -> None:
    async def test() -> None:
        async with shared(tmp_path) as these:
            server = await these.start()
            label = Label("Anna", status="preparing", created=int(time.time()))
            for beat in range(4):
                await these.put(replace(label, progress=beat / 4, beat=beat))
                await looks(server, 3)
                told = await shown(server)
                assert (told["status"], told["progress"]) == ("preparing", beat / 4)
            await looks(server, 9)
            told = await shown(server)
            assert told["status"] == "failed"
            assert told["reason"] == "the server that prepared it has stopped; upload it again."
            await these.put()  # it was only slow
            await look(server)
            await ready(server)

    run(test)


def test_a_server_that_stops_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        async with shared(tmp_path) as these:
            mine = open_client(SETTINGS, store=these.store())
            client = await mine.__aenter__()
            answer = await client.http.post("/v1/avatars", files=FACE)
            await mine.__aexit__(None, None, None)
            told = await shown(await these.start(), answer.json()["id"])
            assert told["status"] == "failed" and "the server was stopped while" in told["reason"]

    run(test)


@pytest.mark.parametrize("limit", [{"max_avatars": 1}, {"avatar_space": 1}])
def test_limits_count_what_all_have_uploaded(tmp_path: Path, limit: dict[str, int]) -> None:
    async def test() -> None:
        async with shared(tmp_path, **limit) as these:
            mine, yours = await these.start(), await these.start()
            await these.put()
            for server in (mine, yours):
                await ready(server)
                refused = await server.http.post("/v1/avatars", files=FACE)
                assert refused.status_code == 409
                assert refused.json()["error"]["code"] == "avatar_limit"

    run(test)


def test_an_avatar_talks_before_it_was_measured_here(tmp_path: Path) -> None:
    """It costs what one of its size costs, until there is a calm moment."""

    class Measuring(FakeRuntime):
        drawing = 10.0

        def measure(self, avatar: Avatar, like: Cost | None = None) -> Cost:
            return Cost(self.drawing, 2.0, 0.1)

    async def test() -> None:
        async with shared(tmp_path) as these:
            runtime = Measuring()
            server = await these.start(runtime)
            runtime.drawing = 20.0
            await these.put(avatar=blank_avatar())
            await ready(server)
            entry = await entry_of(server, ONE)
            assert entry.cost == Cost(10.0, 2.0, 0.1)
            await server.pass_time(6)
            await until(lambda: entry.cost == Cost(20.0, 2.0, 0.1))

    run(test)


def test_what_nobody_uses_goes_after_a_while(tmp_path: Path) -> None:
    async def test() -> None:
        async with shared(tmp_path, upload_ttl_days=30) as these:
            mine, yours = await these.start(), await these.start()
            await these.put()
            await ready(mine)
            these.days = 29
            await look(yours)
            assert set(await these.hand.list()) == {ONE}
            await mine.open(ONE)
            await look(mine)
            these.days = 29 + 29
            for server in (mine, yours):
                await looks(server, 2)
            assert set(await these.hand.list()) == {ONE}
            these.days = 29 + 31
            await looks(yours, 2)
            assert await these.hand.list() == {}
            assert (await yours.http.get(f"/v1/avatars/{ONE}")).status_code == 404

    run(test)


@pytest.mark.parametrize("settings", [{"upload_ttl_days": 0}, {"share_uploads": True}])
def test_what_is_listed_or_shall_stay_stays(tmp_path: Path, settings: dict[str, Any]) -> None:
    async def test() -> None:
        async with shared(tmp_path, **settings) as these:
            server = await these.start()
            await these.put()
            these.days = 1000
            await looks(server, 2)
            assert (await shown(server))["id"] == ONE

    run(test)


def test_a_failed_upload_is_forgotten_after_a_day(tmp_path: Path) -> None:
    async def test() -> None:
        async with shared(tmp_path) as these:
            server = await these.start()
            label = Label("Anna", status="failed", reason="no face.", created=int(time.time()))
            await these.put(label)
            await looks(server, 2)
            assert (await shown(server))["reason"] == "no face."
            these.days = 2
            await looks(server, 2)
            assert (await server.http.get(f"/v1/avatars/{ONE}")).status_code == 404

    run(test)


def test_while_the_store_is_gone_sessions_go_on_and_uploads_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with shared(tmp_path) as these:
            mine, yours = await these.start(), await these.start()
            await these.put()
            await ready(mine)
            session = await mine.open(ONE)
            these.switch.off = True
            with caplog.at_level("INFO", logger="lipstream.server"):
                await looks(mine, 65)
                lines = [one.message for one in caplog.records if "store of avatars" in one.message]
                assert lines == ["store of avatars is unavailable"] * 2
            await mine.connect(session)
            await mine.open(ONE)
            assert (await mine.http.get("/readyz")).status_code == 200
            for answer in (
                await mine.http.post("/v1/avatars", files=FACE),
                await mine.http.delete(f"/v1/avatars/{ONE}"),
                await mine.http.post("/v1/sessions", json={"avatar": "2" * 32}),
                await yours.http.get(f"/v1/avatars/{ONE}"),
            ):
                assert answer.status_code == 503, answer.text
                assert answer.json()["error"]["code"] == "store_unavailable"
                assert answer.headers["Retry-After"] == "5"
            these.switch.off = False
            caplog.clear()
            with caplog.at_level("INFO", logger="lipstream.server"):
                for server in (mine, yours):
                    await look(server)
            lines = [one.message for one in caplog.records if "store of avatars" in one.message]
            assert lines == ["store of avatars is back"] * 2
            await ready(yours)
            assert (await mine.http.delete(f"/v1/avatars/{ONE}")).status_code == 204

    run(test)


@pytest.mark.slow
def test_an_upload_that_is_prepared_while_the_store_is_gone_is_kept_afterwards(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with shared(tmp_path) as these:
            mine, yours = await these.start(), await these.start()
            answer = await mine.http.post("/v1/avatars", files=FACE)
            these.switch.off = True
            entry = await entry_of(mine, answer.json()["id"])
            await until(lambda: entry.avatar is not None)
            await looks(mine, 20)
            assert entry.status == "preparing"
            these.switch.off = False
            await looks(mine, 3)
            await until(lambda: entry.status == "ready")
            await ready(yours, entry.id)

    run(test)


def test_a_server_starts_while_the_store_is_gone(tmp_path: Path) -> None:
    async def test() -> None:
        async with shared(tmp_path) as these:
            await these.hand.open()
            await these.put()
            these.switch.off = True
            server = await these.start()
            assert (await server.http.get("/readyz")).status_code == 200
            await server.open("face")
            these.switch.off = False
            await look(server)
            await ready(server)

    run(test)
