"""One live viewer over real WebRTC in a process of its own, and probes of the server's health.

    python -m benchmarks.attack.viewer URL TOKEN AVATAR SPEECH.wav

Speaks all the time, and prints a JSON object a line until the end of its input: {"udp": [[host,
port], ...]} once it is connected, {"picture": s} for each that came, {"state": {...}, "at": s} each
second, {"probe": path, "status": n, "at": s} twice a second. Times are those of
`time.monotonic`, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import time
import wave

import aiortc.rtcrtpreceiver
import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.cpu.receiver_process import PictureCount

CHUNK_MS = 100
PROBE_S, STATE_S = 0.5, 1.0
PROBES = ("/healthz", "/readyz")
HOST_CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host")
COUNTS = ("repeated", "dropped", "skipped", "late")


def tell(**message: object) -> None:
    """Print one line."""
    print(json.dumps(message), flush=True)


class PictureTimes(PictureCount):
    """Tells each picture that came, undecoded."""

    def _count(self) -> None:
        super()._count()
        tell(picture=time.monotonic())


async def watch(url: str, token: str, avatar: str, speech: str) -> None:
    """View and speak until standard input ends."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, timeout=30, headers=headers) as http:
        session = (await http.post("/v1/sessions", json={"avatar": avatar})).json()
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for kind in ("audio", "video"):
            peer.addTransceiver(kind, direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        sdp = {"content-type": "application/sdp"}
        offer = peer.localDescription.sdp
        answer = (await http.post(session["whep_url"], content=offer, headers=sdp)).text
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        tell(udp=sorted(set(HOST_CANDIDATE.findall(answer))))
        tasks = [
            asyncio.create_task(speak(url + session["audio_url"], headers, speech)),
            asyncio.create_task(read_state(url, headers, f"/v1/sessions/{session['id']}")),
            asyncio.create_task(probe(url)),
        ]
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        for task in tasks:
            task.cancel()
        for ending in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(ending, asyncio.CancelledError):
                tell(error=repr(ending))
        await peer.close()


async def speak(url: str, headers: dict[str, str], path: str) -> None:
    """Say the WAV file over and over in chunks at the pace of speech."""
    with wave.open(path) as file:
        rate, pcm = file.getframerate(), file.readframes(file.getnframes())
    size = 2 * (rate * CHUNK_MS // 1000)
    address = f"{url}?sample_rate={rate}".replace("http", "ws", 1)
    async with connect(address, additional_headers=headers) as socket:
        reader = asyncio.create_task(read_all(socket))
        due, start = time.perf_counter(), 0
        try:
            while True:
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                await socket.send(pcm[start : start + size])
                start = (start + size) % (len(pcm) - size)
                due += CHUNK_MS / 1000
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


async def read_all(socket: ClientConnection) -> None:
    """Read the events, or the server would not read us."""
    async for _ in socket:
        pass


async def read_state(url: str, headers: dict[str, str], path: str) -> None:
    """Tell the session's state and counts, each time by a new connection."""
    while True:
        with contextlib.suppress(httpx.TransportError):
            async with httpx.AsyncClient(base_url=url, timeout=10, headers=headers) as http:
                answer = (await http.get(path)).json()
                counts = {name: answer[name] for name in COUNTS if name in answer}
                tell(state=counts, name=answer.get("state", "gone"), at=time.monotonic())
        await asyncio.sleep(STATE_S)


async def probe(url: str) -> None:
    """Ask for liveness and readiness as an orchestrator does, without the token."""
    while True:
        for path in PROBES:
            status = 0
            with contextlib.suppress(httpx.TransportError):
                async with httpx.AsyncClient(base_url=url, timeout=10) as http:
                    status = (await http.get(path)).status_code
            tell(probe=path, status=status, at=time.monotonic())
        await asyncio.sleep(PROBE_S)


if __name__ == "__main__":
    aiortc.rtcrtpreceiver.decoder_worker = PictureTimes().decode
    asyncio.run(watch(*sys.argv[1:]))
