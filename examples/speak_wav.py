"""Let an avatar say a sound file, and save what WebRTC delivers as an mp4.

    scripts/demo
    python examples/speak_wav.py examples/speech.wav talk.mp4

Sound goes to the server by WebSocket, as fast as it takes it; picture and sound come back by WHEP,
at the pace of speech. Needs lipstream with its extra `server`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame
from websockets.asyncio.client import connect

from lipstream.errors import LipstreamError
from lipstream.media.audio import AudioChunk
from lipstream.media.audio_reader import open_audio
from lipstream.media.mp4_writer import Mp4Writer

SPEECH_RATE = 24_000  # Hz of what is sent
SOUND_RATE = 48_000  # Hz of what comes back
FRAME_TICKS = 3600  # of the 90 kHz clock of video: 40 ms
SLICE = 4800  # samples per message: 200 ms
AFTERWARDS = 0.5  # seconds to record after the last word
ENDS = ("ended", "interrupted", "failed")  # of an utterance, exactly one


class Server:
    """A lipstream server."""

    def __init__(self, address: str, token: str | None) -> None:
        self.address = address.rstrip("/") + "/"
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def call(self, method: str, path: str, body: bytes = b"", kind: str = "") -> bytes:
        """The body of its answer; raises urllib.error.URLError when there is none or it refuses."""
        headers = self.headers | ({"Content-Type": kind} if kind else {})
        url = urljoin(self.address, path)
        request = urllib.request.Request(url, body or None, headers, method=method)
        return await asyncio.to_thread(fetch, request)

    async def open_session(self, avatar: str | None) -> Any:
        """Open a session that waits for a viewer, by default of the first avatar there is."""
        if avatar is None:
            avatars = json.loads(await self.call("GET", "v1/avatars"))["avatars"]
            avatar = next((one["id"] for one in avatars if one["status"] == "ready"), "")
        body = json.dumps({"avatar": avatar}).encode()
        return json.loads(await self.call("POST", "v1/sessions", body, "application/json"))

    async def close_session(self, session: dict[str, Any]) -> None:
        """Close it, which frees its place."""
        await self.call("DELETE", f"v1/sessions/{session['id']}")

    def socket(self, path: str) -> str:
        """The address of a WebSocket."""
        return urljoin(self.address, path).replace("http", "ws", 1)


def fetch(request: urllib.request.Request) -> bytes:
    """The body of the answer."""
    with urllib.request.urlopen(request, timeout=20) as response:
        body: bytes = response.read()
    return body


def sentence(refusal: urllib.error.HTTPError) -> str:
    """What the server says of it; other servers may say anything."""
    try:
        return str(json.load(refusal)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return str(refusal)


class Recorder:
    """Writes both tracks, each frame and sample at the place its timestamp says."""

    def __init__(self, movie: Mp4Writer) -> None:
        self._movie = movie
        self._frames = self._samples = 0  # written so far
        self._last: Any = None

    async def video(self, track: MediaStreamTrack) -> None:
        async for frame in frames(track):
            assert isinstance(frame, VideoFrame) and frame.pts is not None
            picture = frame.to_ndarray(format="rgb24")
            for _ in range(frame.pts // FRAME_TICKS - self._frames):  # lost on the way
                self._write(picture if self._last is None else self._last)
            self._write(picture)

    async def audio(self, track: MediaStreamTrack) -> None:
        async for frame in frames(track):
            assert isinstance(frame, AudioFrame) and frame.pts is not None
            if (gap := frame.pts - self._samples) > 0:
                self._sound(np.zeros((gap, 2), np.int16))
            self._sound(frame.to_ndarray().reshape(-1, 2))

    def _write(self, picture: Any) -> None:
        self._movie.write_frame(picture)
        self._frames, self._last = self._frames + 1, picture

    def _sound(self, samples: Any) -> None:
        self._movie.write_audio(AudioChunk(samples, SOUND_RATE))
        self._samples += len(samples)


async def frames(track: MediaStreamTrack) -> Any:
    """All of a track, until the connection closes."""
    while True:
        try:
            yield await track.recv()
        except MediaStreamError:
            return


async def watch(server: Server, session: dict[str, Any]) -> RTCPeerConnection:
    """A connection that receives a session's picture and sound."""
    servers = [RTCIceServer(**entry) for entry in session["ice_servers"]]
    connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
    for kind in ("audio", "video"):
        connection.addTransceiver(kind, direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    offer = connection.localDescription.sdp.encode()
    answer = await server.call("POST", session["whep_url"], offer, "application/sdp")
    await connection.setRemoteDescription(RTCSessionDescription(answer.decode(), "answer"))
    return connection


async def speak(server: Server, session: dict[str, Any], path: str) -> None:
    """Send the file's sound and wait until the last of it has been spoken, or was interrupted."""
    ours = None
    address = f"{server.socket(session['audio_url'])}?sample_rate={SPEECH_RATE}"
    async with connect(address, additional_headers=server.headers) as socket:
        for samples in slices(path):
            await socket.send(samples)
        await socket.send(json.dumps({"type": "end"}))
        async for message in socket:
            event = json.loads(message)
            print(event)
            if event["type"] == "queued":
                ours = event["utterance"]
            elif event["type"] in ENDS and event.get("utterance") == ours:
                return


def slices(path: str) -> Iterator[bytes]:
    """The sound of any media file as s16le mono."""
    import av

    resampler = av.AudioResampler("s16", "mono", SPEECH_RATE, frame_size=SLICE)
    with open_audio(path) as sound:
        for chunk in sound:
            frame = AudioFrame.from_ndarray(chunk.mono()[np.newaxis], "flt", "mono")
            frame.sample_rate = chunk.sample_rate
            for piece in resampler.resample(frame):
                yield piece.to_ndarray().tobytes()
    for piece in resampler.resample(None):
        yield piece.to_ndarray().tobytes()


async def main(options: argparse.Namespace) -> None:
    server = Server(options.server, options.token)
    session = await server.open_session(options.avatar)
    connection = await watch(server, session)
    size = session["width"], session["height"]
    try:
        with Mp4Writer(options.movie, size, audio=(SOUND_RATE, 2)) as movie:
            recorder = Recorder(movie)
            receivers = {
                receiver.track.kind: receiver.track for receiver in connection.getReceivers()
            }
            tasks = [
                asyncio.create_task(recorder.video(receivers["video"])),
                asyncio.create_task(recorder.audio(receivers["audio"])),
            ]
            await speak(server, session, options.speech)
            await asyncio.sleep(AFTERWARDS)
            await connection.close()
            await asyncio.gather(*tasks)
    finally:
        await connection.close()
        await server.close_session(session)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", help="any file with sound")
    parser.add_argument("movie", help="the mp4 to write")
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--avatar", help="the avatar's id; by default the first that is offered")
    parser.add_argument("--token")
    options = parser.parse_args()
    try:
        asyncio.run(main(options))
    except urllib.error.HTTPError as refusal:
        sys.exit(f"{options.server}: {sentence(refusal)}")
    except (OSError, LipstreamError) as error:  # no server, no such file, a file without sound
        sys.exit(f"{options.server}, {options.speech}: {error}")
