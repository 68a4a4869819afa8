"""Play the scene over a lipstream server, and print what came of it as JSON.

    python pipecat_server.py URL TOKEN

A viewer in this process watches the server, and hums into its microphone.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import aiohttp
import numpy as np
from aiortc import MediaStreamTrack
from av import AudioFrame
from pipecat.frames.frames import InputAudioRawFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.workers.runner import WorkerRunner

from pipecat_lipstream import LipstreamTransport
from tests.integrations.pipecat_scene import Heard, Told, Viewer, findings, play, scene, watch

HUM_S = 2.0
HUM_HZ = 600.0
RATE = 48_000


class Hum(MediaStreamTrack):
    """A microphone: silence, and a tone for two seconds once it is asked for."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._next, self._began = 0, time.monotonic()
        self._until: int | None = None

    def hum(self) -> None:
        self._until = self._next + round(HUM_S * RATE)

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0.0, self._began + self._next / RATE - time.monotonic()))
        times = (self._next + np.arange(960)) / RATE
        level = 8000 if self._until is not None and self._next < self._until else 0
        sound = (level * np.sin(2 * np.pi * HUM_HZ * times)).astype(np.int16)
        frame = AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self._next
        self._next += 960
        return frame


class Voice(BaseObserver):
    """What the input gives of the viewer."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        self._source, self.heard = source, Heard()
        self.sound: list[np.ndarray] = []
        self.rate = 0

    async def on_push_frame(self, data: FramePushed) -> None:
        frame = data.frame
        if data.source is self._source and isinstance(frame, InputAudioRawFrame):
            self.sound.append(np.frombuffer(frame.audio, np.int16))
            self.heard.take(self.sound[-1], frame.sample_rate)
            self.rate = frame.sample_rate

    def hertz(self) -> float:
        """The loudest tone."""
        sound = np.concatenate(self.sound)
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        return float(np.argmax(spectrum) * self.rate / len(sound))


async def captions(url: str, session: Mapping[str, Any]) -> list[tuple[str, float]]:
    """What the page of the viewer shows, and when in its utterance, until the session ends."""
    shown = []
    headers = {"Authorization": f"Bearer {session['token']}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.ws_connect(url + session["events_url"]) as socket:
            async for message in socket:
                event = message.json() if message.type == aiohttp.WSMsgType.TEXT else {}
                if event.get("type") == "caption":
                    shown.append((event["text"], event["at_ms"] / 1000))
    return shown


async def main(url: str, token: str) -> dict[str, Any]:
    transport = LipstreamTransport(server_url=url, avatar="face", token=token)
    session = await transport.open()
    clients: list[str] = []
    connected = asyncio.Event()

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport: LipstreamTransport, client: Any) -> None:
        clients.append("connected")
        connected.set()

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport: LipstreamTransport, client: Any) -> None:
        clients.append("disconnected")

    voice, told = Voice(transport.input()), Told(transport.output())
    worker = PipelineWorker(
        Pipeline([transport.input(), transport.output()]),
        params=PipelineParams(enable_metrics=True),
        observers=[voice, told],
        cancel_on_idle_timeout=False,
    )
    runner, at, hum = WorkerRunner(), dict[str, float](), Hum()
    viewer = Viewer(hum)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await watch(viewer, url, session)
    page = asyncio.create_task(captions(url, session))
    await connected.wait()
    hum.hum()
    await asyncio.sleep(HUM_S + 1)
    repeated_s = viewer.heard.seconds(0.0, float("inf"))  # of the viewer's own voice
    await play(scene(at), worker.queue_frame)
    await running
    headers = {"Authorization": f"Bearer {session['token']}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.get(url + f"/v1/sessions/{session['id']}") as gone:
            closed = gone.status in (401, 404)
    return {
        **findings(viewer.heard, told, at),
        "voice_s": voice.heard.seconds(0.0, float("inf")),
        "voice_hz": voice.hertz(),
        "repeated_s": repeated_s,
        "rtp_share": viewer.rtp_share(),
        "clients": clients,
        "closed": closed,
        "captions": await page,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
