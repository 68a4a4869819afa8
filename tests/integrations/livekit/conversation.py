"""An agent that says many things, some of them interrupted, and what came of each."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice.io import AudioOutput

from tests.integrations.livekit.speech import audio_frames, tone

PATIENCE_S = 15.0  # for one utterance


@dataclass
class Said:
    """One utterance, by the clock of the test."""

    seconds: float
    pushed: float = 0.0
    interrupted: float | None = None
    started: list[float] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)
    positions: list[float] = field(default_factory=list)


class Ledger:
    """Writes down what a sink tells, for the utterances in their order."""

    def __init__(self, sink: AudioOutput) -> None:
        self.said: list[Said] = []
        self.open = 0  # index of the first that has not finished
        sink.on("playback_started", self._started)
        sink.on("playback_finished", self._finished)

    def add(self, seconds: float) -> Said:
        self.said.append(Said(seconds, time.monotonic()))
        return self.said[-1]

    def _started(self, event: object) -> None:
        self.said[self.open].started.append(time.monotonic())

    def _finished(self, event: rtc.EventEmitter[str]) -> None:
        said = self.said[min(self.open, len(self.said) - 1)]
        said.finished.append(time.monotonic())
        said.positions.append(event.playback_position)
        self.open += 1


async def _sound(seconds: float) -> AsyncIterator[rtc.AudioFrame]:
    for frame in audio_frames(tone(seconds)):
        yield frame


async def converse(
    session: AgentSession[None], room: rtc.Room, ledger: Ledger, utterances: int, seed: int = 1
) -> None:
    """Say so many utterances, every third pair of them back to back; two in five are cut off at a
    random moment."""
    chance = random.Random(seed)
    await session.start(agent=Agent(instructions="none"), room=room)
    cut = set(chance.sample(range(utterances), utterances * 2 // 5))
    index = 0
    while index < utterances:
        together = 2 if chance.random() < 1 / 3 and index + 1 < utterances else 1
        handles = []
        for _ in range(together):
            said = ledger.add(round(chance.uniform(0.3, 1.6), 2))
            handles.append((said, session.say("...", audio=_sound(said.seconds))))
        for said, handle in handles:
            if index in cut:
                while not said.started and not handle.done() and chance.random() < 0.95:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)  # most are cut while they are heard
                await asyncio.sleep(chance.uniform(0.0, said.seconds))
                if not handle.done():
                    said.interrupted = time.monotonic()
                    handle.interrupt(force=True)
            await asyncio.wait_for(handle.wait_for_playout(), PATIENCE_S)
            index += 1
        await asyncio.sleep(chance.uniform(0.0, 0.2))
