"""The contract of all stores over a server that speaks S3's protocol, and its own trouble."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lipstream.errors import MissingError, OptionError
from lipstream.server.avatars.stores import object_store
from lipstream.server.avatars.stores.base import Label, StoreError
from lipstream.server.avatars.stores.object_store import FsspecObjects
from lipstream.server.settings import ServeSettings
from tests.server.app_client import open_client, until
from tests.server.avatars.portraits import FACE
from tests.server.avatars.portraits import prepared as prepared_upload
from tests.server.avatars.stores.places import Place, S3Place
from tests.server.avatars.stores.s3_server import S3Server
from tests.server.avatars.stores.test_contract import (
    prepared,
    test_a_delete_reaches_all_and_wins_over_later_puts,
    test_a_delete_wins_at_any_moment_of_a_put,
    test_a_label_changes_for_all,
    test_a_place_that_was_lost_is_not_an_empty_one,
    test_a_use_is_noted_by_the_day,
    test_a_writer_that_died_leaves_nothing_after_a_delete,
    test_an_avatar_that_is_gone_cannot_be_fetched,
    test_damage_is_found,
    test_of_two_who_put_one_id_the_first_has_it,
    test_tombstones_are_cleared_after_a_day,
    test_what_one_server_puts_all_others_find,
)

__all__ = [
    "prepared",
    "test_what_one_server_puts_all_others_find",
    "test_a_label_changes_for_all",
    "test_a_delete_reaches_all_and_wins_over_later_puts",
    "test_a_delete_wins_at_any_moment_of_a_put",
    "test_a_writer_that_died_leaves_nothing_after_a_delete",
    "test_of_two_who_put_one_id_the_first_has_it",
    "test_an_avatar_that_is_gone_cannot_be_fetched",
    "test_damage_is_found",
    "test_a_use_is_noted_by_the_day",
    "test_tombstones_are_cleared_after_a_day",
    "test_a_place_that_was_lost_is_not_an_empty_one",
]
pytestmark = pytest.mark.slow


@pytest.fixture
def place(s3: S3Server, tmp_path: Path) -> Place:
    """A new part of the bucket."""
    return S3Place(tmp_path)


def test_a_server_that_stops_is_noticed_in_time_and_found_again(s3: S3Server, place: Place) -> None:
    async def test() -> None:
        mine, _ = await place.two()
        await mine.put("a" * 32, Label("Anna"))
        await asyncio.to_thread(s3.stop)
        for call in (mine.list(), mine.put("b" * 32, Label("Ben")), mine.delete("a" * 32)):
            with pytest.raises(StoreError):
                await asyncio.wait_for(call, 10)
        await asyncio.to_thread(s3.start)
        with pytest.raises(StoreError, match="missing"):  # it has kept nothing
            await mine.list()
        await mine.open()
        await mine.put("b" * 32, Label("Ben"))
        assert set(await mine.list()) == {"b" * 32}

    asyncio.run(test())


def test_a_bucket_that_is_not_there_is_a_store_that_cannot_be_reached(s3: S3Server) -> None:
    objects = FsspecObjects("s3://elsewhere/avatars")
    with pytest.raises(OSError):
        objects.write("store.json", b"")


def test_servers_share_a_bucket_and_outlive_it(s3: S3Server, tmp_path: Path) -> None:
    async def test() -> None:
        place = S3Place(tmp_path)
        settings = ServeSettings(rate=0, cores=8, connect_timeout_s=600, store=place.url)
        async with open_client(settings) as mine, open_client(settings) as yours:
            shown = await prepared_upload(mine, await mine.http.post("/v1/avatars", files=FACE))
            assert shown["status"] == "ready"
            entry = await yours.app.state.registry.find(shown["id"])
            await until(lambda: entry.status == "ready")
            session = await yours.open(shown["id"])
            await asyncio.to_thread(s3.stop)
            answer = await yours.http.post("/v1/avatars", files=FACE)
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "store_unavailable"
            await yours.connect(session)
            await yours.open(shown["id"])
            assert (await yours.http.get("/readyz")).status_code == 200
            await asyncio.to_thread(s3.start)

    asyncio.run(asyncio.wait_for(test(), 60))


def test_an_address_that_means_nothing() -> None:
    with pytest.raises(OptionError, match="--store nonsense://bucket cannot be opened: Protocol"):
        FsspecObjects("nonsense://bucket")


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match="needs fsspec; run `"):
        FsspecObjects("s3://bucket/avatars")
