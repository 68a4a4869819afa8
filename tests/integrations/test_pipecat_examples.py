"""The example bots of our package for Pipecat, with a stand-in for OpenAI and a viewer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile
import wave
from collections.abc import Awaitable, Callable, Iterator
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from tests.cli.serving import serving
from tests.examples.openai_stub import KEY, OpenAIStub
from tests.examples.talk_stage import served
from tests.integrations.clients import CLIENTS, OURS, ROOT

pytestmark = [pytest.mark.agents, pytest.mark.alone]

EXAMPLES = ROOT / "packages/pipecat-lipstream/examples"
PICTURE = str(ROOT / "examples/portrait_closed.png")
TOKEN = "right-token-0123"
RATE = 48_000
PATIENCE_S = 60.0
LOUD = 1000  # of a sample


class Caller(MediaStreamTrack):
    """A viewer's microphone: silence, and a second of speech when it is asked for."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._next = 0
        self._speech = np.zeros(0, np.int16)

    def ask(self) -> None:
        with wave.open(str(ROOT / "examples/speech.wav")) as sound:
            assert sound.getframerate() == 16_000
            samples = np.frombuffer(sound.readframes(4 * 16_000), np.int16)
        self._speech = np.repeat(samples, 3)

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(0.02)
        piece, self._speech = self._speech[:960], self._speech[960:]
        sound = np.concatenate([piece, np.zeros(960 - len(piece), np.int16)])
        frame = AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self._next
        self._next += 960
        return frame


class Viewer:
    """Watches and listens, and may ask."""

    def __init__(self) -> None:
        self.caller = Caller()
        self.pc = RTCPeerConnection()
        self.pc.addTransceiver(self.caller, direction="sendrecv")
        self.pc.addTransceiver("video", direction="recvonly")
        self.pc.on("track", lambda track: self.tasks.append(asyncio.create_task(self._see(track))))
        self.tasks: list[asyncio.Task[None]] = []
        self.pictures = self.loud = 0

    async def _see(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame):
                    self.loud += bool(np.abs(frame.to_ndarray()).max() > LOUD)
                else:
                    self.pictures += 1

    async def watch(self, answer: Callable[[str], Awaitable[str]]) -> None:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = await answer(self.pc.localDescription.sdp)
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 (another process sets no event)
        await asyncio.sleep(0.05)


@contextlib.contextmanager
def bot(
    name: str, openai: str, port: int, *arguments: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """An example as a process."""
    python = CLIENTS / "bin/python"
    if not python.exists():
        pytest.skip("the clients are not installed; scripts/install_clients brings them")
    keys = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{openai}/v1", "PORT": str(port)}
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [str(python), str(EXAMPLES / name), *arguments],
            env={**os.environ, **keys, "PYTHONPATH": OURS, **environment},
            stdout=said,
            stderr=said,
        ) as process,
    ):
        try:
            yield process
        except BaseException:
            said.seek(0)
            print(said.read()[-6000:])
            raise
        finally:
            process.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def post(http: httpx.AsyncClient, path: str, body: Any = None) -> Any:
    """The answer, once the program answers at all."""
    while True:
        try:
            answer = await http.post(path, json=body)
        except httpx.TransportError:
            await asyncio.sleep(0.2)
            continue
        assert answer.status_code == 200, answer.text
        return answer.json()


async def converse(stub: OpenAIStub, viewer: Viewer) -> None:
    """The bot greets its viewer, who asks something, which is answered."""
    await until(lambda: viewer.loud > 20)
    assert len(stub.asked) == 1 and "Greet" in str(stub.asked[0])
    greeted = viewer.loud
    await asyncio.sleep(1)
    viewer.caller.ask()
    await until(lambda: len(stub.asked) >= 2 and viewer.loud > greeted + 20)
    assert stub.question in str(stub.asked[-1])
    assert "Good morning." in str(stub.asked[-1])  # what was heard is part of the conversation
    assert viewer.pictures > 100


def run(scene: Callable[[OpenAIStub, str, Viewer], Awaitable[None]]) -> None:
    async def play() -> None:
        tone = (8000 * np.sin(np.arange(24_000) / 10)).astype("<i2").tobytes()  # 1 s
        stub, viewer = OpenAIStub(answer=["Good ", "morning."], speech=tone), Viewer()
        async with served(stub.app()) as openai:
            try:
                await asyncio.wait_for(scene(stub, openai, viewer), PATIENCE_S)
            finally:
                await viewer.pc.close()

    asyncio.run(play())


def test_the_bot_that_draws_itself() -> None:
    async def scene(stub: OpenAIStub, openai: str, viewer: Viewer) -> None:
        port = free_port()
        place = ("-t", "webrtc", "--port", str(port))
        with bot("local_bot.py", openai, port, *place, AVATAR=PICTURE):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:

                async def answer(sdp: str) -> str:
                    told = await post(http, "/api/offer", {"sdp": sdp, "type": "offer"})
                    return str(told["sdp"])

                await viewer.watch(answer)
                await converse(stub, viewer)

    run(scene)


def test_the_bot_whose_face_is_a_servers() -> None:
    async def scene(stub: OpenAIStub, openai: str, viewer: Viewer) -> None:
        port = free_port()
        with (
            serving("--token", TOKEN, "--avatar", f"anna={PICTURE}") as server,
            bot(
                "server_bot.py", openai, port, LIPSTREAM_URL=server.url, LIPSTREAM_TOKEN=TOKEN
            ) as process,
        ):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
                session = await post(http, "/bot")
                page = (await http.get("/")).text
            assert re.search(rf'src="{server.url}/lipstream-avatar.js"', page)
            assert session["token"] != TOKEN and TOKEN not in page
            bearer = {"Authorization": f"Bearer {session['token']}"}
            async with httpx.AsyncClient(base_url=server.url, headers=bearer) as http:

                async def answer(sdp: str) -> str:
                    kind = {"content-type": "application/sdp"}
                    return (await http.post(session["whep_url"], content=sdp, headers=kind)).text

                await viewer.watch(answer)
                await converse(stub, viewer)
            process.send_signal(signal.SIGINT)  # in the midst of a conversation
            await asyncio.to_thread(process.wait, 20)

    run(scene)
