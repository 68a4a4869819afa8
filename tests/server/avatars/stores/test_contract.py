"""The promises of every store of avatars, over each place where one can keep them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lipstream.errors import ArchiveError
from lipstream.server.avatars.stores.base import (
    AvatarStore,
    DeletedError,
    Label,
    StoreError,
    TakenError,
)
from lipstream.server.avatars.stores.labelled import DAY_S, LabelledStore
from lipstream.server.avatars.stores.objects import Objects
from tests.server.avatars.stores.places import FolderPlace, MemoryPlace, Place

PLACES = [FolderPlace, MemoryPlace]  # and that of test_s3.py
ONE, OTHER = "a" * 32, "b" * 32
LABEL = Label("Anna", "calm")
FACE = b"a face" * 1000
NOON = 20_000 * DAY_S + DAY_S // 2


@pytest.fixture(params=PLACES, ids=lambda place: place.name)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A new place, empty."""
    made: Place = request.param(tmp_path)
    return made


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A file to keep."""
    path = tmp_path / "mine.avatar"
    path.write_bytes(FACE)
    return path


async def keep(store: AvatarStore, avatar_id: str, label: Label, file: Path) -> None:
    """Put an avatar that is ready."""
    await store.upload(avatar_id, file)
    await store.put(avatar_id, label)


def content(path: Path) -> bytes:
    return path.read_bytes()


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def test_what_one_server_puts_all_others_find(place: Place, prepared: Path) -> None:
    async def test() -> None:
        mine, yours = await place.two()
        assert await yours.list() == {}
        label = place.ready(LABEL, prepared)
        await keep(mine, ONE, label, prepared)
        (found,) = (await yours.list()).values()
        assert found.label == label
        assert content(await yours.fetch(ONE, label)) == FACE
        assert content(prepared) == FACE, "the file belongs to whoever put it"

    run(test)


def test_a_label_changes_for_all(place: Place) -> None:
    async def test() -> None:
        mine, yours = await place.two()
        for beat in range(3):
            label = Label("Anna", status="preparing", progress=beat / 4, beat=beat)
            await mine.put(ONE, label, first=beat == 0)
            assert (await yours.list())[ONE].label == label
        failed = Label("Anna", status="failed", reason="no face was found.")
        await mine.put(ONE, failed)
        assert (await yours.list())[ONE].label == failed

    run(test)


def test_a_delete_reaches_all_and_wins_over_later_puts(place: Place, prepared: Path) -> None:
    async def test() -> None:
        mine, yours = await place.two()
        label = place.ready(LABEL, prepared)
        await keep(mine, ONE, label, prepared)
        await keep(mine, OTHER, label, prepared)
        await yours.delete(ONE)
        assert set(await mine.list()) == {OTHER}
        with pytest.raises(DeletedError):
            await mine.upload(ONE, prepared)
        with pytest.raises(DeletedError):
            await mine.put(ONE, label)
        assert set(await yours.list()) == {OTHER}
        await yours.delete(ONE)
        await yours.delete("c" * 32)
        assert not [key for key in place.keys() if ONE in key and "deleted-" not in key]

    run(test)


@pytest.mark.parametrize("step", ["upload", "write"])
def test_a_delete_wins_at_any_moment_of_a_put(place: Place, prepared: Path, step: str) -> None:
    """The put stands still before or behind one of its steps while another server deletes."""

    async def test() -> None:
        for before in (True, False):
            mine, yours = await place.two()
            label = place.ready(LABEL, prepared)
            gate = Gate(mine, step, before)
            putting = asyncio.create_task(keep(mine, ONE, label, prepared))
            await asyncio.to_thread(gate.reached.wait)
            await yours.delete(ONE)
            gate.opened.set()
            with pytest.raises(DeletedError):
                await putting
            assert await yours.list() == {}
            assert not [key for key in place.keys() if key.startswith(ONE) and "deleted" not in key]
            place.clear()

    run(test)


class Gate:
    """Holds up one kind of call of a store."""

    def __init__(self, store: LabelledStore, name: str, before: bool) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        objects: Objects = store._objects
        call = getattr(objects, name)

        def held(*arguments: object) -> None:
            if not before:
                call(*arguments)
            self.reached.set()
            self.opened.wait()
            if before:
                call(*arguments)

        setattr(objects, name, held)


def test_a_writer_that_died_leaves_nothing_after_a_delete(place: Place, prepared: Path) -> None:
    async def test() -> None:
        mine, yours = await place.two()
        await mine.delete(ONE)
        place.write(f"{ONE}/prepared.avatar", b"half of a file")
        assert await yours.list() == {}
        assert not [key for key in place.keys() if key.endswith(".avatar")]

    run(test)


def test_of_two_who_put_one_id_the_first_has_it(place: Place) -> None:
    async def test() -> None:
        stores = await place.two()
        puts = (one.put(ONE, Label(f"by {n}"), first=True) for n, one in enumerate(stores))
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(TakenError) == 1
        (winner,) = [n for n, outcome in enumerate(outcomes) if outcome is None]
        assert (await stores[0].list())[ONE].label.name == f"by {winner}"

    run(test)


def test_an_avatar_that_is_gone_cannot_be_fetched(place: Place, prepared: Path) -> None:
    async def test() -> None:
        mine, yours = await place.two()
        label = place.ready(LABEL, prepared)
        await keep(mine, ONE, label, prepared)
        await mine.delete(ONE)
        with pytest.raises((DeletedError, FileNotFoundError)):
            content(await yours.fetch(ONE, label))

    run(test)


def test_damage_is_found(place: Place, prepared: Path) -> None:
    """In a folder by whoever loads the file: it holds hashes of all its parts."""
    if place.in_place:
        pytest.skip("files are used where they lie")

    async def test() -> None:
        mine, yours = await place.two()
        label = place.ready(LABEL, prepared)
        await keep(mine, ONE, label, prepared)
        place.write(f"{ONE}/prepared.avatar", b"a faxe" * 1000)
        with pytest.raises(ArchiveError, match="came damaged from the store 3 times; upload it"):
            await yours.fetch(ONE, label)
        place.write(f"{ONE}/prepared.avatar", FACE)
        assert content(await yours.fetch(ONE, label)) == FACE
        place.remove(f"{ONE}/prepared.avatar")
        assert content(await yours.fetch(ONE, label)) == FACE

    run(test)


def test_a_use_is_noted_by_the_day(place: Place, prepared: Path) -> None:
    now = [float(NOON)]

    async def test() -> None:
        mine, yours = await place.two(lambda: now[0])

        async def unused() -> int | None:
            return (await yours.list())[ONE].unused_days

        await mine.put(ONE, Label("old"))
        assert await unused() is None
        await mine.put(ONE, Label("Anna", created=NOON - 3 * DAY_S))
        assert await unused() == 3
        await mine.touch(ONE)
        assert await unused() == 0
        now[0] += 31 * DAY_S
        assert await unused() == 31
        await yours.touch(ONE)
        assert await unused() == 0
        assert sum("/used-" in key for key in place.keys()) == 1

    run(test)


def test_tombstones_are_cleared_after_a_day(place: Place) -> None:
    now = [float(NOON)]

    async def test() -> None:
        mine, yours = await place.two(lambda: now[0])
        await mine.delete(ONE)
        now[0] += DAY_S - 10
        await yours.list()
        assert any(ONE in key for key in place.keys())
        now[0] += 20
        await yours.list()
        assert not any(ONE in key for key in place.keys())

    run(test)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"name": 3}',
        b'{"name": "A", "status": "well"}',
        b'{"name": "A", "motion": ["calm"]}',
        b'{"name": "A", "progress": NaN}',
        b'{"name": "A", "size": -1}',
        b'{"name": "A", "sha256": "../../etc/passwd"}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_label_that_makes_no_sense_is_left_out(tmp_path: Path, content: bytes) -> None:
    async def test() -> None:
        place = FolderPlace(tmp_path)
        mine, _ = await place.two()
        await mine.put(OTHER, LABEL)
        place.write(f"{ONE}/label.json", content)
        assert set(await mine.list()) == {OTHER}
        await mine.put(ONE, LABEL)
        assert set(await mine.list()) == {ONE, OTHER}

    run(test)


def test_what_is_no_avatar_is_left_alone(tmp_path: Path) -> None:
    async def test() -> None:
        place = FolderPlace(tmp_path)
        place.write(".snapshot/label.json", LABEL.to_json())
        place.write("notes.txt", b"mine")
        place.write("lost+found/x", b"mine")
        mine, _ = await place.two()
        assert await mine.list() == {}
        assert {".snapshot/label.json", "notes.txt", "lost+found/x"} <= set(place.keys())

    run(test)


def test_an_older_version_kept_a_name_and_a_motion(tmp_path: Path) -> None:
    async def test() -> None:
        place = FolderPlace(tmp_path)
        place.write(f"{ONE}/label.json", b'{"name": "Anna", "motion": null}')
        place.write(f"{ONE}/prepared.avatar", b"a face")
        mine, _ = await place.two()
        found = (await mine.list())[ONE]
        assert (found.label, found.unused_days) == (Label("Anna"), None)
        assert content(await mine.fetch(ONE, found.label)) == b"a face"

    run(test)


def test_a_folder_that_is_gone_is_a_store_that_cannot_be_reached(tmp_path: Path) -> None:
    async def test() -> None:
        place = FolderPlace(tmp_path)
        mine, _ = await place.two()
        place.clear()
        for call in (mine.list(), mine.put(ONE, LABEL), mine.delete(ONE), mine.touch(ONE)):
            with pytest.raises(StoreError, match="FileNotFoundError"):
                await call

    run(test)


def test_a_place_that_was_lost_is_not_an_empty_one(place: Place, prepared: Path) -> None:
    async def test() -> None:
        mine, _ = await place.two()
        place.remove("store.json")
        with pytest.raises(StoreError, match=r"store\.json is missing"):
            await mine.list()
        await mine.open()
        assert await mine.list() == {}

    run(test)
