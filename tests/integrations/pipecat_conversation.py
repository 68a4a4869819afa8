"""Hold a conversation in Pipecat: many utterances, some in pairs, two in five interrupted.

    python pipecat_conversation.py harness UTTERANCES PICTURE
    python pipecat_conversation.py webrtc UTTERANCES PICTURE
    python pipecat_conversation.py server UTTERANCES URL TOKEN

Prints what came of each as JSON. It runs in an environment of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pipecat.frames.frames import Frame, InterruptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.tests.utils import SleepFrame
from pipecat.workers.runner import WorkerRunner

from pipecat_lipstream import LipstreamEngine, LipstreamTransport
from tests.integrations.pipecat_local import play_in_harness, play_over_webrtc
from tests.integrations.pipecat_scene import BLOCK_S, LOUD, Told, Viewer, play, speech, watch

LOW_HZ, HIGH_HZ = 300, 900  # of one utterance and of the next
CROSSINGS = 6  # in a block: the low tone has 3, the high one 9
MIN_RUN = 3  # blocks of a pitch; Opus smears where one tone follows another


@dataclass
class Said:
    """One utterance, by the clock of the test."""

    name: str
    seconds: float
    hertz: int
    pushed: float = 0.0
    interrupted: float | None = None
    heard_s: float = 0.0
    ended: float = 0.0  # when the last of it was heard
    holes_s: float = 0.0  # quiet within it


class Tones:
    """Blocks of sound with when they came, and their pitch; 0 Hz is silence."""

    def __init__(self) -> None:
        self.blocks: list[tuple[float, int]] = []

    def take(self, samples: np.ndarray, rate: int) -> None:
        """Mono samples, int16."""
        size = round(rate * BLOCK_S)
        blocks = samples[: len(samples) // size * size].astype(np.int32).reshape(-1, size)
        loud = np.abs(blocks).mean(axis=1) > LOUD
        crossings = np.count_nonzero(np.diff(np.signbit(blocks), axis=1), axis=1)
        pitches = np.where(crossings > CROSSINGS, HIGH_HZ, LOW_HZ)
        now = time.monotonic()
        self.blocks += [(now, int(pitch)) for pitch in np.where(loud, pitches, 0)]

    def note(self, said: Said, since: float, until: float) -> None:
        """Write down what was heard of an utterance meanwhile."""
        came = [(at, hertz) for at, hertz in self.blocks if since <= at < until]
        runs = [list(run) for _, run in itertools.groupby(came, key=lambda block: block[1])]
        own = [index for index, run in enumerate(runs) if self._is_of(run, said.hertz)]
        if not own:
            return
        quiet = [run for run in runs[own[0] : own[-1]] if run[0][1] == 0]
        said.heard_s = round(BLOCK_S * sum(len(runs[index]) for index in own), 3)
        said.holes_s = round(BLOCK_S * sum(map(len, quiet)), 3)
        said.ended = runs[own[-1]][-1][0]

    @staticmethod
    def _is_of(run: list[tuple[float, int]], hertz: int) -> bool:
        return run[0][1] == hertz and len(run) >= MIN_RUN


class Conversation:
    """Utterances by a seed, and what came of each."""

    def __init__(self, utterances: int, seed: int = 1) -> None:
        chance = random.Random(seed)
        self.said = [
            Said(f"u{number}", round(chance.uniform(0.3, 1.6), 2), (LOW_HZ, HIGH_HZ)[number % 2])
            for number in range(utterances)
        ]
        self._chance = chance
        self._groups = list(self._grouped())
        self._cut = set(chance.sample(range(len(self._groups)), utterances * 2 // 5))

    def _grouped(self) -> Iterator[Sequence[Said]]:
        """Every fourth is a pair, pushed back to back."""
        start = 0
        while start < len(self.said):
            size = 2 if self._chance.random() < 0.25 else 1
            yield self.said[start : start + size]
            start += size

    def frames(self) -> Iterator[Frame]:
        """The frames of the conversation; notes when each part of it began."""
        for number, group in enumerate(self._groups):
            for said in group:
                said.pushed = time.monotonic()
                yield from speech(said.seconds, said.name, said.hertz)
            seconds = sum(said.seconds for said in group)
            if number in self._cut:
                yield SleepFrame(sleep=self._chance.uniform(0.0, seconds + 0.2))
                for said in group:
                    said.interrupted = time.monotonic()
                yield InterruptionFrame()
                yield SleepFrame(sleep=self._chance.uniform(0.4, 0.6))
            else:
                yield SleepFrame(sleep=seconds + self._chance.uniform(0.6, 0.8))

    def findings(self, tones: Tones, told: Told) -> dict[str, Any]:
        """What came of each utterance, and what the pipeline was told; as JSON takes it."""
        ends = [group[0].pushed for group in self._groups[1:]]
        for group, until in zip(self._groups, [*ends, float("inf")], strict=True):
            for said in group:
                tones.note(said, group[0].pushed, until)
        return {"said": [asdict(one) for one in self.said], "told": told.frames}


async def converse_locally(conversation: Conversation, mode: str, picture: str) -> dict[str, Any]:
    """With the face in this process: in Pipecat's harness, or over SmallWebRTC."""
    tones = Tones()
    with LipstreamEngine("puppet") as engine:
        avatar = engine.open_avatar(picture)
        if mode == "harness":
            told, _ = await play_in_harness(avatar, conversation.frames(), tones)
            return conversation.findings(tones, told)
        viewer = Viewer(heard=tones)
        told, _ = await play_over_webrtc(avatar, conversation.frames(), viewer)
        return {**conversation.findings(tones, told), "rtp_share": viewer.rtp_share()}


async def converse_over_server(conversation: Conversation, url: str, token: str) -> dict[str, Any]:
    """With the face of a server, and a viewer of it in this process."""
    transport = LipstreamTransport(server_url=url, avatar="face", token=token)
    session = await transport.open()
    viewer = Viewer(heard=(tones := Tones()))
    told = Told(transport.output())
    worker = PipelineWorker(
        Pipeline([transport.input(), transport.output()]),
        observers=[told],
        cancel_on_idle_timeout=False,
    )
    runner = WorkerRunner()
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await watch(viewer, url, session)
    await viewer.watching.wait()
    await play(conversation.frames(), worker.queue_frame)
    await running
    return {**conversation.findings(tones, told), "rtp_share": viewer.rtp_share()}


def main(mode: str, utterances: str, *where: str) -> None:
    conversation = Conversation(int(utterances))
    if mode == "server":
        found = asyncio.run(converse_over_server(conversation, *where))
    else:
        found = asyncio.run(converse_locally(conversation, mode, *where))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
