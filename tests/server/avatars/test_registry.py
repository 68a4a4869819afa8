"""Avatars: uploaded, prepared in the background, used, deleted."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from lipstream.avatar.avatar import Avatar
from lipstream.config import Progress
from lipstream.errors import FaceError
from lipstream.server.settings import ServeSettings
from tests.avatar.scenes import write_clip
from tests.fakes import blank_avatar
from tests.server.app_client import AppClient, run_client
from tests.server.avatars.portraits import FACE, PORTRAIT, prepared
from tests.server.fake_runtime import FakeRuntime


def blank() -> bytes:
    """A picture of nobody."""
    file = io.BytesIO()
    Pillow.new("RGB", (200, 200)).save(file, "PNG")
    return file.getvalue()


def test_a_portrait_is_uploaded_and_talks() -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.post("/v1/avatars", files=FACE, data={"name": " My  face\n"})
        assert answer.json()["status"] == "preparing" and answer.json()["name"] == "My face"
        early = await client.http.post("/v1/sessions", json={"avatar": answer.json()["id"]})
        assert early.status_code == 409
        shown = await prepared(client, answer)
        assert shown["status"] == "ready" and shown["report"]["faces_found"] == 1
        assert (shown["width"], shown["height"]) == (256, 256)
        picture = await client.http.get(shown["picture_url"])
        assert picture.headers["Content-Type"] == "image/jpeg"
        assert Pillow.open(io.BytesIO(picture.content)).size == (256, 256)
        assert await listed(client) == ["face"]
        assert await listed(client, "?all=1") == ["face", shown["id"]]
        await client.open(shown["id"])
        assert client.runtime.sessions[0].avatar.size == (256, 256)

    run_client(test)


async def listed(client: AppClient, query: str = "") -> list[str]:
    """The ids of all avatars that the server tells."""
    avatars = (await client.http.get(f"/v1/avatars{query}")).json()["avatars"]
    return [avatar["id"] for avatar in avatars]


def test_an_upload_is_for_those_who_know_its_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ids: list[str] = []

    async def upload(client: AppClient) -> None:
        sent = await prepared(client, await client.http.post("/v1/avatars", files=FACE))
        ids.append(sent["id"])
        assert len(sent["id"]) == 32  # 128 random bits
        await client.open(sent["id"])
        sessions = (await client.http.get("/v1/sessions")).json()["sessions"]
        assert sessions[0]["avatar"] == sent["id"][:8]
        events = [record for record in caplog.records if record.name.startswith("lipstream")]
        assert "session opened" in [record.message for record in events]
        for record in events:
            assert sent["id"] not in str(vars(record).values())

    async def private(client: AppClient) -> None:
        assert await listed(client) == ["face"]
        assert await listed(client, "?all=true") == ["face", *ids]
        assert (await client.http.get(f"/v1/avatars/{ids[0]}")).status_code == 200
        assert (await client.http.get("/v1/avatars?all=perhaps")).status_code == 422

    async def shared(client: AppClient) -> None:
        assert await listed(client) == ["face", *ids]
        assert (await client.http.delete(f"/v1/avatars/{ids[0]}")).status_code == 204

    with caplog.at_level("DEBUG", logger="lipstream"):
        run_client(upload, ServeSettings(rate=0, data=tmp_path))
    run_client(private, ServeSettings(rate=0, data=tmp_path))
    run_client(shared, ServeSettings(rate=0, data=tmp_path, share_uploads=True))


def test_a_clip_is_prepared_with_progress(tmp_path: Path) -> None:
    image = np.asarray(Pillow.open(io.BytesIO(PORTRAIT)).convert("RGB"))
    clip = write_clip(tmp_path / "clip.mp4", [image] * 12).read_bytes()

    async def test(client: AppClient) -> None:
        files = {"file": ("clip.mp4", clip, "video/mp4")}
        shown = await prepared(client, await client.http.post("/v1/avatars", files=files))
        assert shown["status"] == "ready" and shown["report"]["frames"] == 12
        assert shown["name"] == "clip"

    run_client(test)


def test_an_upload_names_its_face_and_its_turn() -> None:
    image = np.asarray(Pillow.open(io.BytesIO(PORTRAIT)).convert("RGB"))
    lying = io.BytesIO()
    Pillow.fromarray(np.rot90(image)).save(lying, "PNG")

    async def test(client: AppClient) -> None:
        files = {"file": ("lying.png", lying.getvalue(), "image/png")}
        for fields, sentence in (
            ({"face": "left"}, "'left' names no face; write 1 for the largest"),
            ({"rotate": "45"}, "there is no rotation '45'; use none, auto, 90, 180 or 270."),
        ):
            wrong = await client.http.post("/v1/avatars", files=files, data=fields)
            assert wrong.status_code == 422 and sentence in wrong.text
        fields = {"face": "1", "rotate": "auto"}
        shown = await prepared(
            client, await client.http.post("/v1/avatars", files=files, data=fields)
        )
        assert shown["status"] == "ready" and abs(shown["report"]["roll"]) < 10
        shown = await prepared(
            client, await client.http.post("/v1/avatars", files=files, data={"face": "2"})
        )
        assert shown["status"] == "failed"
        assert shown["reason"].startswith("lying.png has 1 face, but not face 2;")

    run_client(test)


def test_a_picture_of_nobody_tells_why_it_failed() -> None:
    async def test(client: AppClient) -> None:
        files = {"file": ("wall.png", blank(), "image/png")}
        shown = await prepared(client, await client.http.post("/v1/avatars", files=files))
        assert shown["status"] == "failed"
        assert shown["reason"].startswith("no face was found in wall.png;")
        assert shown["report"] is None and shown["picture_url"] is None
        for path in (f"/v1/avatars/{shown['id']}/picture",):
            assert (await client.http.get(path)).status_code == 409
        refused = await client.http.post("/v1/sessions", json={"avatar": shown["id"]})
        assert refused.status_code == 409 and "wall.png" in refused.json()["error"]["message"]
        assert (await client.http.delete(f"/v1/avatars/{shown['id']}")).status_code == 204

    run_client(test)


@pytest.mark.parametrize("fault", [FaceError("this face cannot talk."), ZeroDivisionError()])
def test_a_backend_that_cannot_is_no_harm(fault: Exception) -> None:
    class Broken(FakeRuntime):
        def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
            if avatar.size == (256, 256):
                raise fault
            return avatar

    async def test(client: AppClient) -> None:
        shown = await prepared(client, await client.http.post("/v1/avatars", files=FACE))
        assert shown["status"] == "failed"
        assert shown["reason"] == str(fault) or "bug in lipstream" in shown["reason"]
        await client.open()

    run_client(test, runtime=Broken())


def test_an_avatar_that_is_deleted_while_in_use_goes_on_talking() -> None:
    async def test(client: AppClient) -> None:
        shown = await prepared(client, await client.http.post("/v1/avatars", files=FACE))
        made = await client.open(shown["id"])
        assert (await client.http.delete(f"/v1/avatars/{shown['id']}")).status_code == 204
        await client.connect(made)
        socket = await client.open_socket(made)
        await socket.send(bytes(9_600))
        await socket.leave()
        assert client.runtime.sessions[0].buffered_ms == 200
        refused = await client.http.post("/v1/sessions", json={"avatar": shown["id"]})
        assert refused.status_code == 404
        assert (await client.http.delete(f"/v1/avatars/{shown['id']}")).status_code == 404

    run_client(test)


def test_an_avatar_that_is_deleted_while_preparing_is_given_up() -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.post("/v1/avatars", files=FACE)
        here = f"/v1/avatars/{answer.json()['id']}"
        assert (await client.http.delete(here)).status_code == 204
        assert (await client.http.get(here)).status_code == 404

    run_client(test)


def test_what_the_command_line_gave_stays() -> None:
    async def test(client: AppClient) -> None:
        assert (await client.http.delete("/v1/avatars/face")).status_code == 409
        await client.open()

    run_client(test)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"max_avatars": 1}, {"avatar_space": 1}])
def test_uploads_are_limited_in_number_and_size(settings: Any) -> None:
    async def test(client: AppClient) -> None:
        shown = await prepared(client, await client.http.post("/v1/avatars", files=FACE))
        answer = await client.http.post("/v1/avatars", files=FACE)
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "avatar_limit"
        await client.http.delete(f"/v1/avatars/{shown['id']}")
        await prepared(client, await client.http.post("/v1/avatars", files=FACE))

    run_client(test, ServeSettings(rate=0, **settings))


def test_uploads_are_kept_where_they_shall_be(tmp_path: Path) -> None:
    settings = ServeSettings(rate=0, data=tmp_path / "avatars")
    ids: list[str] = []

    async def upload(client: AppClient) -> None:
        answer = await client.http.post("/v1/avatars", files=FACE, data={"name": "Anna"})
        ids.append((await prepared(client, answer))["id"])

    async def again(client: AppClient) -> None:
        shown = (await client.http.get(f"/v1/avatars/{ids[0]}")).json()
        assert (shown["name"], shown["status"], shown["width"]) == ("Anna", "ready", 256)
        await client.http.delete(f"/v1/avatars/{ids[0]}")

    async def gone(client: AppClient) -> None:
        assert (await client.http.get(f"/v1/avatars/{ids[0]}")).status_code == 404

    for test in (upload, again, gone):
        run_client(test, settings)
    kept = [path for path in (tmp_path / "avatars").rglob("*") if path.is_file()]
    assert {path.name.partition("-")[0] for path in kept} == {"store.json", "deleted"}


def test_sessions_take_the_motion_of_their_avatar_unless_they_name_one(tmp_path: Path) -> None:
    settings, ids = ServeSettings(rate=0, data=tmp_path / "avatars"), []

    async def upload(client: AppClient) -> None:
        wrong = await client.http.post("/v1/avatars", files=FACE, data={"motion": "wild"})
        assert wrong.status_code == 422
        assert "there is no motion 'wild'; use still, calm, lively." in wrong.text
        answer = await client.http.post("/v1/avatars", files=FACE, data={"motion": "calm"})
        ids.append((await prepared(client, answer))["id"])

    async def talk(client: AppClient) -> None:
        assert (await client.http.get(f"/v1/avatars/{ids[0]}")).json()["motion"] == "calm"
        for body in ({}, {"motion": "still"}):
            answer = await client.http.post("/v1/sessions", json={"avatar": ids[0], **body})
            assert answer.status_code == 201
        await client.open("face")
        motions = [session.motion for session in client.runtime.sessions]
        assert motions == ["calm", "still", None]
        wrong = await client.http.post("/v1/sessions", json={"avatar": "face", "motion": "wild"})
        assert wrong.status_code == 422

    for test in (upload, talk):
        run_client(test, settings)


def test_a_damaged_upload_is_shown_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "a1"
    folder.mkdir()
    (folder / "prepared.avatar").write_text("PK")
    (folder / "label.json").write_text('{"name": "Old"}')
    (tmp_path / "b2").mkdir()
    (tmp_path / "b2" / "label.json").write_text("not json")

    async def test(client: AppClient) -> None:
        kept = (await client.http.get("/v1/avatars?all=1")).json()["avatars"]
        assert [(avatar["id"], avatar["status"]) for avatar in kept] == [
            ("face", "ready"),
            ("a1", "failed"),
        ]

    run_client(test, ServeSettings(rate=0, data=tmp_path))


@pytest.mark.slow
def test_nothing_is_left_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def test(client: AppClient) -> None:
        await prepared(client, await client.http.post("/v1/avatars", files=FACE))
        await client.http.post("/v1/avatars", files=FACE)
        await client.http.post("/v1/avatars", files={"file": ("a.png", b"no", "image/png")})
        lie = {"file": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png")}
        await client.http.post("/v1/avatars", files=lie)

    run_client(test)
    assert list(tmp_path.iterdir()) == []


def test_the_first_picture_of_a_large_avatar_is_small() -> None:
    async def test(client: AppClient) -> None:
        picture = await client.http.get("/v1/avatars/wide/picture")
        assert Pillow.open(io.BytesIO(picture.content)).size == (480, 240)

    run_client(test, avatars={"wide": blank_avatar(1_000, 500)})


def test_a_kept_avatar_whose_preparation_fails_keeps_nothing_from_starting(tmp_path: Path) -> None:
    async def upload(client: AppClient) -> None:
        await prepared(client, await client.http.post("/v1/avatars", files=FACE))

    class Broken(FakeRuntime):
        def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
            if avatar.size == (256, 256):
                raise RuntimeError("a worker process failed")
            return avatar

    async def again(client: AppClient) -> None:
        kept = (await client.http.get("/v1/avatars?all=1")).json()["avatars"][1]
        assert kept["status"] == "failed" and "server's log" in kept["reason"]
        assert (await client.http.get("/readyz")).status_code == 200
        await client.open()

    settings = ServeSettings(rate=0, data=tmp_path)
    run_client(upload, settings)
    run_client(again, settings, runtime=Broken())
