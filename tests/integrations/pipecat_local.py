"""Play the scene with the face in the bot's own process, and print what came of it as JSON.

    python pipecat_local.py harness PICTURE
    python pipecat_local.py must PICTURE
    python pipecat_local.py webrtc PICTURE

It runs in an environment of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    OutputTransportReadyFrame,
    TTSAudioRawFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.transports.smallwebrtc import transport
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner

from pipecat_lipstream import LipstreamAvatar, LipstreamEngine, LipstreamVideoService
from pipecat_lipstream.pacing import TIMESTAMP, pace_pictures
from tests.integrations.pipecat_scene import Heard, Told, Viewer, findings, play, scene, speech


class Pushed(BaseObserver):
    """The sound and the pictures that the service pushes."""

    def __init__(self, service: LipstreamVideoService, heard: Any) -> None:
        super().__init__()
        self._service, self.heard = service, heard
        self.pictures: list[float] = []

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.source is not self._service:
            return
        if isinstance(data.frame, TTSAudioRawFrame):
            samples = np.frombuffer(data.frame.audio, np.int16)
            self.heard.take(samples, data.frame.sample_rate)
        elif isinstance(data.frame, OutputImageRawFrame):
            self.pictures.append(time.monotonic())


class Leaving(BaseObserver):
    """When pictures and sound leave by SmallWebRTC, and the first picture of each run of speech."""

    def __init__(self, service: LipstreamVideoService) -> None:
        super().__init__()
        self._service = service
        self._pictures: dict[int, float] = {}  # by their RTP time
        self._sounds: list[float] = []  # when a run of speech began to leave
        self._firsts: list[int] = []
        self._picture, self._sound, self._loud = 0, 0.0, 0.0
        pace_pictures()  # before the pictures are watched
        self._watch(transport.RawVideoTrack, self._picture_left)
        self._watch(transport.RawAudioTrack, self._sound_left)

    def apart_ms(self) -> list[float]:
        """By how much the first picture of each run left later than its sound."""
        runs = zip(self._firsts, self._sounds, strict=True)
        return [1000 * (self._pictures[first] - sound) for first, sound in runs]

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.source is not self._service:
            return
        if isinstance(data.frame, OutputImageRawFrame):
            self._picture = data.frame.metadata[TIMESTAMP]
        elif isinstance(data.frame, TTSAudioRawFrame):
            now = time.monotonic()
            if now - self._sound > 0.3:  # the first sound waits for the second picture
                self._firsts.append(self._picture - 3600)
            self._sound = now

    def _watch(self, track: Any, left: Callable[[Any, float], None]) -> None:
        receive = track.recv

        async def recv(track: Any) -> Any:
            frame = await receive(track)
            left(frame, time.monotonic())
            return frame

        track.recv = recv

    def _picture_left(self, frame: Any, now: float) -> None:
        self._pictures[frame.pts] = now

    def _sound_left(self, frame: Any, now: float) -> None:
        if np.abs(frame.to_ndarray()).max() > 1000:
            if now - self._loud > 0.3:
                self._sounds.append(now)
            self._loud = now


async def two_in_harness(avatar: LipstreamAvatar) -> dict[str, Any]:
    """Two bots of one process at once, with one avatar."""
    one, other = await asyncio.gather(in_harness(avatar), in_harness(avatar))
    return {"one": one, "other": other}


async def in_harness(avatar: LipstreamAvatar) -> dict[str, Any]:
    """The scene in Pipecat's harness."""
    at: dict[str, float] = {}
    heard = Heard()
    told, pictures = await play_in_harness(avatar, scene(at), heard)
    return {**findings(heard, told, at), "pictures": pictures}


async def play_in_harness(
    avatar: LipstreamAvatar, frames: Iterable[Frame], heard: Any
) -> tuple[Told, int]:
    """Pipecat's harness, which sends the frames, and an EndFrame right behind them.

    Returns what the pipeline was told, and the count of pictures.
    """
    service = LipstreamVideoService(avatar=avatar)
    pushed, told = Pushed(service, heard), Told(service)
    sent: Any = chain([OutputTransportReadyFrame(), SleepFrame(sleep=1.0)], frames)
    params = PipelineParams(enable_metrics=True)
    observers: list[BaseObserver] = [pushed, told]
    await run_test(
        service,
        frames_to_send=sent,
        observers=observers,
        pipeline_params=params,
        start_timeout=20.0,
    )
    return told, len(pushed.pictures)


async def uninterruptible(avatar: LipstreamAvatar) -> dict[str, Any]:
    """Speech that must be said to its end, and some behind it that need not."""
    service = LipstreamVideoService(avatar=avatar)
    pushed, told = Pushed(service, Heard()), Told(service)
    must, other = speech(2.0, "must"), speech(2.0, "other")
    for frame in must:
        frame.interruptible = not isinstance(frame, TTSAudioRawFrame)
    before: list[Frame] = [OutputTransportReadyFrame(), SleepFrame(sleep=1.0)]
    cut: list[Frame] = [SleepFrame(sleep=0.8), InterruptionFrame(), SleepFrame(sleep=2.0)]
    frames = [*before, *must, *other, *cut]
    observers: list[BaseObserver] = [pushed, told]
    await run_test(service, frames_to_send=frames, observers=observers, start_timeout=20.0)
    return {"heard_s": pushed.heard.seconds(0.0, float("inf")), "told": told.names()}


async def over_webrtc(avatar: LipstreamAvatar) -> dict[str, Any]:
    """The scene over SmallWebRTC."""
    viewer, at = Viewer(), dict[str, float]()
    told, leaving = await play_over_webrtc(avatar, scene(at), viewer)
    found = findings(viewer.heard, told, at)
    return {**found, "rtp_share": viewer.rtp_share(), "apart_ms": leaving.apart_ms()}


async def play_over_webrtc(
    avatar: LipstreamAvatar, frames: Iterable[Frame], viewer: Viewer
) -> tuple[Told, Leaving]:
    """SmallWebRTC, and a viewer in this process."""
    connection = SmallWebRTCConnection()
    await connection.initialize(await viewer.offer(), "offer")
    ends = SmallWebRTCTransport(connection, avatar.transport_params())
    service = LipstreamVideoService(avatar=avatar)
    told, leaving = Told(ends.output()), Leaving(service)
    worker = PipelineWorker(
        Pipeline([ends.input(), service, ends.output()]),
        params=PipelineParams(enable_metrics=True),
        observers=[told, leaving],
        cancel_on_idle_timeout=False,
    )
    runner = WorkerRunner()
    await runner.add_workers(worker)
    answer = connection.get_answer()
    assert answer is not None
    await viewer.accept(answer["sdp"])

    async def talk() -> None:
        await viewer.watching.wait()
        await play(frames, worker.queue_frame)

    await asyncio.gather(runner.run(), talk())
    return told, leaving


def main(mode: str, picture: str) -> None:
    with LipstreamEngine("puppet", processes=2 if mode == "harness" else 0) as engine:
        avatar = engine.open_avatar(picture)
        run = {"harness": two_in_harness, "must": uninterruptible, "webrtc": over_webrtc}[mode]
        print(json.dumps(asyncio.run(run(avatar))))


if __name__ == "__main__":
    main(*sys.argv[1:])
