"""The scene that is played in Pipecat: an utterance, one that is interrupted, and one at the end.

It runs in an environment of its own, with the programs beside it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import aiohttp
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from pipecat.frames.frames import (
    AggregatedTextFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    MetricsFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.tests.utils import SleepFrame
from pipecat.utils.text.base_text_aggregator import TextType

RATE = 24_000  # Hz; of the voice
LOUD = 300  # mean of the absolute samples of a block
BLOCK_S = 0.005
SAID_S, CUT_S, LAST_S = 3.0, 4.0, 2.0  # of the three utterances
CUT_AFTER_S = 1.2
LATE_S, QUIET_S = 1.0, 0.8


def text(words: str) -> TTSTextFrame:
    """What TTS tells of a sentence once it has sent its sound."""
    return TTSTextFrame(words, TextType.SENTENCE)


def announced(words: str) -> AggregatedTextFrame:
    """What TTS tells of a sentence before its sound."""
    frame = AggregatedTextFrame(words, TextType.SENTENCE)
    frame.will_be_spoken = True
    return frame


def speech(seconds: float, name: str, hertz: int = 440) -> list[Frame]:
    """Frames of a voice that is faster than real time: two sentences, each with its text."""
    turns = 2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE
    pcm = (8000 * np.sin(turns)).astype("<i2").tobytes()
    step = RATE * 2 // 10
    pieces = [pcm[start : start + step] for start in range(0, len(pcm), step)]
    sound: list[Frame] = [TTSAudioRawFrame(piece, RATE, 1, context_id=name) for piece in pieces]
    half, (one, two) = len(sound) // 2, (f"{name} 1", f"{name} 2")
    first = [announced(one), TTSStartedFrame(context_id=name), *sound[:half], text(one)]
    second = [announced(two), *sound[half:], text(two)]
    return [*first, *second, TTSStoppedFrame(context_id=name)]


class Heard:
    """Blocks of sound with when they came, and whether they were loud."""

    def __init__(self) -> None:
        self.blocks: list[tuple[float, bool]] = []

    def take(self, samples: np.ndarray, rate: int) -> None:
        """Mono samples, int16."""
        size = round(rate * BLOCK_S)
        count = len(samples) // size
        blocks = np.abs(samples[: count * size].astype(np.int32)).reshape(count, size).mean(axis=1)
        now = time.monotonic()
        self.blocks += [(now, bool(level > LOUD)) for level in blocks]

    def seconds(self, since: float, until: float) -> float:
        return BLOCK_S * sum(loud for at, loud in self.blocks if since <= at < until)

    def holes_s(self, since: float, until: float) -> float:
        """Quiet seconds between the first loud block and the last."""
        loud = [
            index for index, (at, loud) in enumerate(self.blocks) if loud and since <= at < until
        ]
        return BLOCK_S * (loud[-1] - loud[0] + 1 - len(loud)) if loud else 0.0

    def silent_ms(self, since: float, until: float) -> float:
        """From `since` to the last loud block before `until`."""
        times = [at for at, loud in self.blocks if loud and since <= at < until]
        return 1000 * (max(times) - since) if times else 0.0


class Told(BaseObserver):
    """What the end of a pipeline pushes, by name, and the times to first speech in it."""

    KINDS = (BotStartedSpeakingFrame, BotStoppedSpeakingFrame, TTSStoppedFrame, TTSTextFrame)

    def __init__(self, end: Any) -> None:
        super().__init__()
        self._end, self._seen = end, set[int]()
        self.frames: list[tuple[float, str]] = []
        self.ttfb_ms: list[float] = []

    async def on_push_frame(self, data: FramePushed) -> None:
        frame = data.frame
        if data.source is not self._end or frame.id in self._seen:
            return
        self._seen.add(frame.id)
        if frame.broadcast_sibling_id is not None:  # the other way
            self._seen.add(frame.broadcast_sibling_id)
        if isinstance(frame, MetricsFrame):
            values = [one.value for one in frame.data if isinstance(one, TTFBMetricsData)]
            self.ttfb_ms += [1000 * value for value in values if value]
        elif isinstance(frame, self.KINDS):
            name = type(frame).__name__.removesuffix("Frame")
            words = f" {frame.text}" if isinstance(frame, TTSTextFrame) else ""
            self.frames.append((time.monotonic(), name + words))

    def names(self) -> list[str]:
        return [name for _, name in self.frames]


class Viewer:
    """An aiortc peer that watches, listens and may speak."""

    def __init__(self, microphone: MediaStreamTrack | None = None, heard: Any = None) -> None:
        self.pc = RTCPeerConnection()
        self.heard: Any = heard or Heard()
        self.pictures: list[tuple[float, int]] = []  # (when it came, RTP time)
        self.watching = asyncio.Event()  # for a second
        if microphone is None:
            self.pc.addTransceiver("audio", direction="recvonly")
        else:
            self.pc.addTransceiver(microphone, direction="sendrecv")
        self.pc.addTransceiver("video", direction="recvonly")
        self._tasks: list[asyncio.Task[None]] = []
        self.pc.on("track", self._take)

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    def rtp_share(self) -> float:
        """Seconds of the pictures' RTP clock in a second of wall time."""
        first, last = self.pictures[10], self.pictures[-1]
        return (last[1] - first[1]) / 90_000 / (last[0] - first[0])

    def _take(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._drain(track)))

    async def _drain(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame):
                    samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                    self.heard.take(samples, frame.sample_rate)
                else:
                    self.pictures.append((time.monotonic(), frame.pts or 0))
                    if len(self.pictures) >= 25:
                        self.watching.set()
        except MediaStreamError:
            pass


async def watch(viewer: Viewer, url: str, session: Mapping[str, Any]) -> None:
    """Connect a viewer to a session of a lipstream server."""
    headers = {
        "Authorization": f"Bearer {session['token']}",
        "Content-Type": "application/sdp",
    }
    offer, whep = await viewer.offer(), url + session["whep_url"]
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.post(whep, data=offer) as answer:
            await viewer.accept(await answer.text())


def scene(at: dict[str, float]) -> Iterator[Frame]:
    """The frames of the scene but for its end; notes in `at` when each part began."""
    *sound, stopped = speech(SAID_S, "said")
    at["said"] = time.monotonic()
    yield from sound
    yield SleepFrame(sleep=SAID_S + LATE_S)  # some services say so late that they are done
    yield stopped
    yield SleepFrame(sleep=QUIET_S)
    at["cut"] = time.monotonic()
    yield from speech(CUT_S, "cut")
    yield SleepFrame(sleep=CUT_AFTER_S)
    at["interrupted"] = time.monotonic()
    yield InterruptionFrame()
    yield SleepFrame(sleep=QUIET_S)
    at["last"] = time.monotonic()
    yield from speech(LAST_S, "last")


async def play(frames: Iterable[Frame], send: Callable[[Frame], Awaitable[None]]) -> None:
    """Send a scene, with an EndFrame right behind its last frame."""
    for frame in frames:
        if isinstance(frame, SleepFrame):
            await asyncio.sleep(frame.sleep)
        else:
            await send(frame)
    await send(EndFrame())


def findings(heard: Heard, told: Told, at: dict[str, float]) -> dict[str, Any]:
    """What was heard of each part, and what the pipeline was told."""
    return {
        "said_s": heard.seconds(at["said"], at["cut"]),
        "holes_s": heard.holes_s(at["said"], at["cut"]) + heard.holes_s(at["last"], float("inf")),
        "cut_s": heard.seconds(at["cut"], at["last"]),
        "silent_ms": heard.silent_ms(at["interrupted"], at["last"]),
        "last_s": heard.seconds(at["last"], float("inf")),
        "told": told.names(),
        "ttfb_ms": told.ttfb_ms,
    }
