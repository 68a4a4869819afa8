"""`lipstream stream` and a session of `lipstream serve`, to a server of WHIP made of aiortc."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cli.program import COMMAND
from tests.cli.serving import serving
from tests.polling import poll
from tests.server.outputs.whip_server import WhipServer, listening

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "examples/portrait_closed.png"


def stream(url: str, *more: str) -> subprocess.CompletedProcess[str]:
    call = [*COMMAND, "stream", "--backend", "puppet", "--avatar", str(PORTRAIT), "--to", url]
    return subprocess.run([*call, *more], capture_output=True, text=True, timeout=90)


@pytest.mark.full
def test_a_stream_arrives_and_its_end_is_told() -> None:
    server = WhipServer("secret-token")
    with listening(server) as url:
        done = stream(f"{url}/moved", "--seconds", "4", "--push-token", "secret-token")
    assert done.returncode == 0, done.stderr
    (taken,) = server.streams
    assert len(taken.pictures) >= 75 and len(taken.sounds) >= 150
    assert [call[0] for call in server.calls] == ["POST", "POST", "DELETE"]
    assert "100 frames sent, 0 left out" in done.stdout and "secret" not in done.stderr


@pytest.mark.slow
def test_a_wrong_token_ends_in_one_sentence() -> None:
    with listening(WhipServer("right-token")) as url:
        done = stream(f"{url}/whip", "--push-token", "wrong-token")
    assert done.returncode == 1 and "wrong-token" not in done.stderr
    assert "127.0.0.1: it refuses with 401: the token is missing or wrong" in done.stderr


@pytest.mark.slow
def test_a_session_is_pushed() -> None:
    server = WhipServer("secret-token")
    with listening(server) as url:
        call = ["--avatar", f"anna={PORTRAIT}", "--push-to", url]
        with serving(*call) as serve:
            body = {"avatar": "anna", "push": f"{url}/whip", "push_token": "secret-token"}
            made = serve.get("/v1/sessions", body)[1]
            poll(lambda: server.streams and len(server.streams[0].pictures) > 25, 30, made.get)
            session = f"{serve.url}/v1/sessions/{made['id']}"
            assert httpx.get(session).json()["push"]["state"] == "connected"
            httpx.delete(session, timeout=30)
            assert [call[0] for call in server.calls] == ["POST", "DELETE"]
