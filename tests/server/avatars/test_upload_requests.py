"""Requests to upload an avatar whose file or form is not as it should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipstream.server.settings import ServeSettings, UploadLimits
from tests.media_files import tone, write_wav
from tests.server.app_client import AppClient, run_client
from tests.server.avatars.portraits import FACE, PORTRAIT


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        (("face.png", b"this is no picture", "image/png"), 415, "unsupported_type"),
        (("face.png", b"<html></html>", "image/png"), 415, "unsupported_type"),
        (("face.png", b"PK\x03\x04" + bytes(500), "image/png"), 415, "unsupported_type"),
        (("face.wav", PORTRAIT, "audio/wav"), 415, "unsupported_type"),
        (("face", PORTRAIT, "text/html"), 202, ""),
        (("face.jpg", PORTRAIT, "image/jpeg"), 202, ""),
        (("face.png", PORTRAIT[:300], "image/png"), 202, ""),
        (("face.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png"), 400, "unusable"),
        (("face.mp4", bytes(4) + b"ftypisom" + bytes(100), "video/mp4"), 400, "unusable"),
        (("face.png", b"", "image/png"), 422, "invalid"),
    ],
)
def test_files_must_be_what_they_claim(
    file: tuple[str, bytes, str], status: int, code: str
) -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.post("/v1/avatars", files={"file": file})
        assert answer.status_code == status, answer.text
        if code:
            assert answer.json()["error"]["code"] == code
            assert len((await client.http.get("/v1/avatars?all=1")).json()["avatars"]) == 1

    run_client(test)


def test_sound_is_no_avatar(tmp_path: Path) -> None:
    wav = write_wav(tmp_path / "a.wav", np.asarray(tone(0.1, 8_000) * 9_000, np.int16), 8_000)

    async def test(client: AppClient) -> None:
        files = {"file": ("a.wav", wav.read_bytes(), "audio/wav")}
        answer = await client.http.post("/v1/avatars", files=files)
        assert answer.status_code == 415

    run_client(test)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"content": b"x", "headers": {"content-type": "image/png"}}, 415),
        ({"content": b"{}", "headers": {"content-type": "application/json"}}, 415),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=a"}}, 400),
        (
            {"content": b"--a--", "headers": {"content-type": "multipart/form-data; boundary=a"}},
            422,
        ),
        ({"data": {"file": "face.png"}, "files": {"other": b""}}, 422),
        ({"files": [("file", PORTRAIT), ("file", PORTRAIT)]}, 400),
        ({"files": FACE, "data": {"name": "n" * 5_000}}, 400),
        ({"files": FACE, "data": {str(n): "" for n in range(9)}}, 400),
    ],
)
def test_forms_that_are_not_as_they_should_be(request_: Any, status: int) -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.post("/v1/avatars", **request_)
        assert answer.status_code == status, answer.text
        assert set(answer.json()["error"]) == {"code", "message"}

    run_client(test)


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_stopped(announced: bool) -> None:
    async def test(client: AppClient) -> None:
        async def body() -> Any:
            yield b'--a\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            for _ in range(40):
                yield bytes(100_000)

        headers = {"content-type": "multipart/form-data; boundary=a"}
        content = bytes(4_000_000) if announced else body()
        answer = await client.http.post("/v1/avatars", content=content, headers=headers)
        assert answer.status_code == 413
        assert "2 MiB" in answer.json()["error"]["message"]

    run_client(test, ServeSettings(rate=0, uploads=UploadLimits(body=2 << 20)))
