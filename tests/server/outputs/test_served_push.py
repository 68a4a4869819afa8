"""Sessions of a real server, pushed into Debian's nginx, and to a server that says nothing."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.cli.serving import Serving, serving
from tests.media_files import tone
from tests.polling import poll
from tests.push.nginx import free_port, nginx, times
from tests.server.app_client import SDP
from tests.server.viewers import Viewer

pytestmark = [pytest.mark.clients, pytest.mark.alone]

PORTRAIT = Path(__file__).resolve().parents[3] / "examples/portrait_closed.png"
RATE = 24_000
FORMAT = {"audio_format": "s16le", "sample_rate": str(RATE)}


def speak(url: str, made: dict[str, Any], seconds: float) -> None:
    speech = np.asarray(tone(seconds, RATE) * 20_000, np.int16).tobytes()
    file = {"file": ("tone.raw", speech)}
    httpx.post(url + made["speech_url"], files=file, data=FORMAT, timeout=30).raise_for_status()


def opened(server: Serving, push: str) -> dict[str, Any]:
    status, made = server.get("/v1/sessions", {"avatar": "anna", "push": push})
    assert status == 201, made
    found: dict[str, Any] = made
    return found


def push_of(server: Serving, made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = server.get(f"/v1/sessions/{made['id']}")[1]["push"]
    return found


def test_a_session_that_nobody_watches_is_pushed(tmp_path: Path) -> None:
    """25 pictures a second, sound in step, and every one of them where a viewer comes and goes."""

    async def watch(url: str, made: dict[str, Any]) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            viewer = Viewer(video="h264")
            answer = await http.post(made["whep_url"], content=await viewer.offer(), headers=SDP)
            await viewer.take(answer.text)
            await viewer.until(75)
            await viewer.close()

    port = free_port()
    call = ["--avatar", f"anna={PORTRAIT}", "--push-to", f"rtmp://127.0.0.1:{port}/live"]
    with nginx(tmp_path, port), serving(*call) as server:
        made = opened(server, f"rtmp://127.0.0.1:{port}/live/secret")
        poll(lambda: push_of(server, made)["state"] == "connected", 30, lambda: "no push")
        speak(server.url, made, 12.0)
        asyncio.run(watch(server.url, made))
        poll(lambda: push_of(server, made)["sent"] >= 500, 60, lambda: push_of(server, made))
        left_out = push_of(server, made)["left_out"]
        httpx.delete(f"{server.url}/v1/sessions/{made['id']}", timeout=30)
        (file,) = poll(lambda: list(tmp_path.glob("*.flv")), 20, lambda: "nothing was recorded")
        shown, heard = times(file)
        status, said = server.end(signal.SIGTERM)
    assert status == 0 and "push connected" in said and "secret" not in said
    rate, apart = (len(shown) - 1) / (shown[-1] - shown[0]), abs(shown[0] - heard[0])
    print(f"{len(shown)} pictures, {rate:.2f} fps, start {1000 * apart:.0f} ms apart")
    assert rate == pytest.approx(25, abs=0.2) and apart <= 0.06 and left_out == 0
    assert np.diff(shown).max() < 0.09  # the viewer was not noticed
    assert shown[-1] - shown[0] == pytest.approx(20, abs=2.0)


@pytest.mark.parametrize("dies", [False, True])
def test_a_server_that_says_nothing_or_dies_costs_no_session_a_frame(
    tmp_path: Path, dies: bool
) -> None:
    """The server of streams accepts, and then says nothing or hangs up in the middle."""

    async def watch(url: str, made: dict[str, Any]) -> list[float]:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            viewer = Viewer(video="h264")
            answer = await http.post(made["whep_url"], content=await viewer.offer(), headers=SDP)
            await viewer.take(answer.text)
            await viewer.until(25 * 15, timeout=40)
            arrived = [picture.arrived for picture in viewer.pictures[25:]]
            await viewer.close()
            return arrived

    with ExitStack() as stack:
        port = stop = None
        if dies:
            port = free_port()
            recorder = ExitStack()
            recorder.enter_context(nginx(tmp_path, port))
            stop = threading.Timer(5.0, recorder.close)
            stack.callback(recorder.close)
        else:
            silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = silent.getsockname()[1]
        address = f"rtmp://127.0.0.1:{port}/live"
        call = ["--avatar", f"anna={PORTRAIT}", "--push-to", address, "--max-sessions", "2"]
        server = stack.enter_context(serving(*call))
        pushed = opened(server, f"{address}/secret")
        watched = server.get("/v1/sessions", {"avatar": "anna"})[1]
        if stop is not None:
            poll(lambda: push_of(server, pushed)["state"] == "connected", 30, lambda: "no push")
            stop.start()
        arrived = asyncio.run(watch(server.url, watched))
        found = push_of(server, pushed)
        assert found["state"] in ("lost", "connecting") and found["reason"], found
        counts = server.get(f"/v1/sessions/{watched['id']}")[1]
    print(f"longest gap {1000 * np.diff(arrived).max():.0f} ms, {counts}")
    assert counts["repeated"] == counts["skipped"] == 0
