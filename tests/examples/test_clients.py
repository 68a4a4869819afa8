"""The example programs against a real server with a backend that can be read from pixels."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from tests.browser.marker import BAR
from tests.browser.server_process import ServerProcess, start_server
from tests.media_files import tone, write_wav

pytestmark = pytest.mark.alone

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RATE = 24_000
SECONDS = 1.5


@pytest.fixture(scope="module")
def service() -> Iterator[ServerProcess]:
    with start_server("face=examples/portrait_closed.png") as opened:
        yield opened


def example(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(name: str, *arguments: str | Path, given: bytes | None = None) -> str:
    """Run an example and return its output."""
    command = [sys.executable, EXAMPLES / f"{name}.py", *arguments]
    done = subprocess.run(command, input=given, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode() + done.stderr.decode()


def speech() -> np.ndarray:
    return np.round(tone(SECONDS, RATE) * 32767).astype(np.int16)


def test_a_spoken_file_is_saved_with_picture_and_sound_in_step(
    service: ServerProcess, tmp_path: Path
) -> None:
    wav = write_wav(tmp_path / "tone.wav", speech(), RATE)
    movie = tmp_path / "talk.mp4"
    output = call("speak_wav", wav, movie, "--server", service.address, "--token", service.token)
    assert "started" in output and "ended" in output
    lit, loud = open_times(movie)
    # A machine that cannot keep up pauses both; they stay together.
    assert lit[1] - lit[0] >= SECONDS - 0.1
    assert lit == pytest.approx(loud, abs=0.1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--avatar", "nobody"], "this avatar does not exist"),
        (["--token", "another"], "a valid token is needed"),
        (["--server", "http://127.0.0.1:9"], "Connection refused"),
    ],
)
def test_a_refusal_is_a_sentence(
    service: ServerProcess, tmp_path: Path, wrong: list[str], said: str
) -> None:
    wav = write_wav(tmp_path / "tone.wav", speech(), RATE)
    command = [sys.executable, str(EXAMPLES / "speak_wav.py"), str(wav), f"{tmp_path}/talk.mp4"]
    command += ["--server", service.address, "--token", service.token, *wrong]
    done = subprocess.run(command, capture_output=True, timeout=60, text=True)
    assert done.returncode == 1 and said in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "talk.mp4").exists()


def test_a_file_waits_for_the_end_of_its_own_utterance(
    service: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = example("speak_wav")
    wav = write_wav(tmp_path / "tone.wav", speech(), RATE)
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="t.wav"\r\n\r\n'
    form += wav.read_bytes() + b"\r\n--b--\r\n"

    async def scene() -> None:
        server = client.Server(service.address, service.token)
        session = await server.open_session("face")
        connection = await client.watch(server, session)
        try:
            await server.call(
                "POST", session["speech_url"], form, "multipart/form-data; boundary=b"
            )
            await client.speak(server, session, wav)
        finally:
            await connection.close()
            await server.close_session(session)

    asyncio.run(scene())
    ends = [line for line in capsys.readouterr().out.splitlines() if "'ended'" in line]
    assert ["'utterance': 1" in ends[0], "'utterance': 2" in ends[-1]] == [True, True]


def open_times(movie: Path) -> tuple[tuple[float, float], tuple[float, float]]:
    """The first and the last second of a lit bar, and of sound."""
    with av.open(str(movie)) as container:
        lit = [
            float(frame.time or 0)
            for frame in container.decode(video=0)
            if frame.to_ndarray(format="rgb24")[BAR].mean() > 64
        ]
    with av.open(str(movie)) as container:
        loud = [
            float(frame.time or 0)
            for frame in container.decode(audio=0)
            if np.sqrt(np.mean(frame.to_ndarray() ** 2)) > 0.1
        ]
    return (lit[0], lit[-1]), (loud[0], loud[-1])


class SpeechService(BaseHTTPRequestHandler):
    """A speech service: chunked PCM, cut within samples."""

    protocol_version = "HTTP/1.1"
    bodies: list[dict[str, str]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append(json.loads(body))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        data = speech().tobytes()
        for start in range(0, len(data), 3333):
            piece = data[start : start + 3333]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def voice() -> Iterator[str]:
    """The address of a speech service."""
    with HTTPServer(("127.0.0.1", 0), SpeechService) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/audio/speech"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("way", ["service", "stdin"])
def test_a_speech_stream_is_spoken_to_its_end(service: ServerProcess, voice: str, way: str) -> None:
    client = example("speak_wav")

    async def scene() -> str:
        server = client.Server(service.address, service.token)
        session = await server.open_session("face")
        connection = await client.watch(server, session)
        given: list[str] = ["--session", session["id"], "--server", service.address]
        given += ["--token", service.token]
        if way == "service":
            given += ["--text", "Hello.", "--speech-url", voice]
        stdin = speech().tobytes() if way == "stdin" else None
        try:
            return await asyncio.to_thread(call, "speak_stream", *given, given=stdin)
        finally:
            await connection.close()
            await server.close_session(session)

    output = asyncio.run(scene())
    ended = [json.loads(line.replace("'", '"')) for line in output.splitlines() if "ended" in line]
    assert ended[-1]["played_ms"] == pytest.approx(1000 * SECONDS, abs=50)
    if way == "service":
        assert SpeechService.bodies[-1]["response_format"] == "pcm"
