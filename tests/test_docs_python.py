"""The programs of docs/python.md run as they stand there."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from tests.avatar.scenes import write_clip
from tests.media_files import tone, write_wav

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "python.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
PROGRAM = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def programs(heading: str) -> list[str]:
    """The programs below a heading, with as many empty lines before them as the page has lines."""
    start = TEXT.index(f"## {heading}\n")
    end = TEXT.find("\n## ", start)
    found = PROGRAM.finditer(TEXT, start, end if end > 0 else len(TEXT))
    return ["\n" * TEXT.count("\n", 0, one.start(1)) + one[1] for one in found]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder in which a program starts."""
    shutil.copy(ROOT / "tests" / "data" / "portrait.png", tmp_path / "face.png")
    speech = np.round(tone(0.5, 16_000) * 32767).astype(np.int16)
    write_wav(tmp_path / "speech.wav", speech, 16_000)
    monkeypatch.chdir(tmp_path)


def run(program: str) -> dict[str, Any]:
    """Its names when it has ended."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(program, str(DOCUMENT), "exec", dont_inherit=True), names)
    return names


def test_render_with_progress(capsys: pytest.CaptureFixture[str]) -> None:
    progress, engine, dubbing = programs("Render with progress")
    run(progress)
    said = capsys.readouterr().out
    assert "12 of 12 frames" in said and "talk.mp4: 12 frames, 0.50 s" in said
    run(engine)
    assert Path("one.mp4").read_bytes() and Path("two.mp4").exists()
    write_clip(Path("clip.mp4"), [read_picture(Path("face.png"), AvatarConfig())] * 8)
    run(dubbing)
    assert Path("dubbed.mp4").exists()


def test_frames_as_speech_comes() -> None:
    (program,) = programs("Frames as speech comes")
    assert len(run(program)["frames"]) == 50


def test_live_without_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    sound, text = programs("Live, without the server")
    run(sound)
    said = capsys.readouterr().out
    assert "kind='started'" in said and "kind='ended'" in said and "played_ms=500" in said
    run(text)
    said = capsys.readouterr().out
    assert "0.00 s: Hello\n0.20 s: there\nended" in said


def test_in_your_own_fastapi_application() -> None:
    (program,) = programs("In your own FastAPI application")
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
    (program,) = programs("The original interface")
    run(program)


def test_every_name_of_the_document_is_public() -> None:
    import lipstream

    named = set(re.findall(r"\blipstream\.([A-Za-z_]\w*)", TEXT)) - {"server", "org"}
    assert named <= set(lipstream.__all__), named - set(lipstream.__all__)
