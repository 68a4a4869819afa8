"""The programs of the documentation run as they stand there."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

import lipstream
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.settings import ServeSettings
from lipstream.server.webhooks.signature import key_of, signed_headers
from tests.avatar.scenes import write_clip
from tests.docs.blocks import PAGES, ROOT, Block, runnable
from tests.media_files import tone, write_wav
from tests.server.http_server import HttpServer, open_server
from tests.server.known_cost import KnownCostRuntime

TOKEN = "a-token-for-tests"
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
PYTHON, LIVE, RECIPES = "docs/python.md", "docs/live.md", "docs/recipes.md"
RUN = {  # page and heading of every program
    ("README.md", "From Python"),
    (PYTHON, "Render with progress"),
    (PYTHON, "Frames as speech comes"),
    (PYTHON, "Live, without the server"),
    (PYTHON, "Text"),
    (PYTHON, "In your own FastAPI application"),
    (PYTHON, "The original interface"),
    (LIVE, "A session for your page"),
    (RECIPES, "What became of sessions, by webhook"),
    (RECIPES, "Say a text from anywhere"),
}


def programs(page: str, heading: str) -> list[Block]:
    """The programs under a heading."""
    assert (page, heading) in RUN
    return [one for one in runnable("python") if (one.page, one.heading) == (page, heading)]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder in which a program starts."""
    shutil.copy(ROOT / "tests" / "data" / "portrait.png", tmp_path / "face.png")
    speech = np.round(tone(0.5, 16_000) * 32767).astype(np.int16)
    write_wav(tmp_path / "speech.wav", speech, 16_000)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    """A server with a token and an avatar called anna, where programs look for one."""
    monkeypatch.setenv("LIPSTREAM_TOKEN", TOKEN)
    with open_server(ServeSettings(token=TOKEN, rate=0), avatar="anna") as opened:
        monkeypatch.setenv("LIPSTREAM_SERVER", opened.url)
        yield opened


def run(block: Block, **given: object) -> dict[str, Any]:
    """Its names when it has ended."""
    names: dict[str, Any] = {"__name__": "__main__", **given}
    exec(compile(block.program, block.page, "exec", dont_inherit=True), names)
    return names


def call(app: FastAPI, path: str, **request: Any) -> httpx.Response:
    """The answer of an application of FastAPI to a POST."""

    async def scene() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.post(path, **request)

    return asyncio.run(scene())


def test_every_program_has_a_test() -> None:
    assert {(block.page, block.heading) for block in runnable("python")} == RUN


def test_the_readme() -> None:
    (program,) = programs("README.md", "From Python")
    chunks = [lipstream.AudioChunk(np.zeros(2400, np.int16), 24_000) for _ in range(5)]
    shown: list[int] = []
    run(program, chunks=chunks, show=lambda frame, ms: shown.append(ms))
    assert shown[:3] == [0, 40, 80] and Path("talk.mp4").exists()


def test_render_with_progress(capsys: pytest.CaptureFixture[str]) -> None:
    progress, engine, dubbing = programs(PYTHON, "Render with progress")
    run(progress)
    said = capsys.readouterr().out
    assert "12 of 12 frames" in said and "talk.mp4: 12 frames, 0.50 s" in said
    run(engine)
    assert Path("one.mp4").read_bytes() and Path("two.mp4").exists()
    write_clip(Path("clip.mp4"), [read_picture(Path("face.png"), AvatarConfig())] * 8)
    run(dubbing)
    assert Path("dubbed.mp4").exists()


def test_frames_as_speech_comes() -> None:
    (program,) = programs(PYTHON, "Frames as speech comes")
    assert len(run(program)["frames"]) == 50


def test_live_without_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    (sound,) = programs(PYTHON, "Live, without the server")
    run(sound)
    said = capsys.readouterr().out
    assert "kind='started'" in said and "kind='ended'" in said and "played_ms=500" in said
    (text,) = programs(PYTHON, "Text")
    run(text)
    said = capsys.readouterr().out
    assert "0.00 s: Hello\n0.20 s: there\nended" in said


def test_in_your_own_fastapi_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MediaRuntime, "measure", KnownCostRuntime.measure)
    (program,) = programs(PYTHON, "In your own FastAPI application")
    app = run(program)["app"]

    async def scene() -> None:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://127.0.0.1"
            ) as client,
        ):
            opened = await client.post("/avatars/v1/sessions", json={"avatar": "anna"})
            assert opened.status_code == 201, opened.text
            session = opened.json()
            assert session["whep_url"].startswith("/avatars/v1/sessions/")
            assert (await client.get("/")).json() == {"sessions": 1}
            page = await client.get("/avatars/")
            assert page.status_code == 200 and "html" in page.headers["content-type"]
            gone = await client.delete(f"/avatars/v1/sessions/{session['id']}")
            assert gone.status_code in (200, 204)
            assert (await client.get("/")).json() == {"sessions": 0}

    asyncio.run(scene())


def test_the_original_interface() -> None:
    (program,) = programs(PYTHON, "The original interface")
    run(program)


def test_a_backend_hands_a_session_to_its_page(server: HttpServer) -> None:
    (program,) = programs(LIVE, "A session for your page")
    answer = call(run(program)["app"], "/my-backend/avatar")
    assert answer.status_code == 201 and TOKEN not in answer.text
    session = answer.json()
    with httpx.Client(base_url=server.url) as page:
        page.headers["Authorization"] = f"Bearer {session['token']}"
        assert page.get(f"/v1/sessions/{session['id']}").json()["state"] == "waiting"
        assert page.get("/v1/sessions").status_code == 401
        assert page.delete(f"/v1/sessions/{session['id']}").status_code == 204


def test_a_webhook_is_believed_when_it_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPSTREAM_WEBHOOK_SECRET", SECRET)
    (program,) = programs(RECIPES, "What became of sessions, by webhook")
    app = run(program)["app"]
    body, now = json.dumps({"type": "session.opened"}).encode(), int(time.time())
    headers = signed_headers(key_of(SECRET), "msg_1", now, body)
    assert call(app, "/hooks", content=body, headers=headers).json() == {"seen": "session.opened"}
    for changed in ({"webhook-id": "msg_2"}, {"webhook-timestamp": "7"}, {"webhook-signature": ""}):
        assert call(app, "/hooks", content=body, headers=headers | changed).status_code == 401


def test_a_text_is_said_from_anywhere(
    server: HttpServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = programs(RECIPES, "Say a text from anywhere")
    names = run(program)
    names["client"].close()
    assert "voice" in capsys.readouterr().out  # this server has none, and says so
    assert names["played"] == 120  # of the fake runtime
    assert len(server.manager) == 0


def test_every_name_of_the_documents_is_public() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    used = re.findall(r"(?<![\w./-])lipstream\.([A-Za-z_]\w*)\b(?!\.\w*js)", text)
    named = set(used) - {"cluster", "integrations", "server", "org", "toml"}
    assert named <= set(lipstream.__all__), named - set(lipstream.__all__)
