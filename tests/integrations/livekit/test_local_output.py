"""The end of an agent's chain of sound, without a runner behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("livekit.agents", reason="scripts/install --livekit brings LiveKit")

from lipstream.integrations.livekit import local_output
from lipstream.integrations.livekit.local_output import LocalSpeechOutput
from tests.integrations.livekit.speech import audio_frames, tone

pytestmark = pytest.mark.agents


async def say(output: LocalSpeechOutput, seconds: float) -> None:
    for frame in audio_frames(tone(seconds)):
        await output.capture_frame(frame)
    output.flush()


def test_nobody_waits_for_what_an_interrupt_found_before_it_was_heard() -> None:
    async def scene() -> None:
        output, told = LocalSpeechOutput(), list[Any]()
        output.on("playback_finished", told.append)
        await say(output, 0.2)
        await say(output, 0.1)
        output.clear_buffer()
        last = await asyncio.wait_for(output.wait_for_playout(), 1)
        assert last.interrupted and last.playback_position == 0.0 and len(told) == 2
        await output.capture_frame(next(audio_frames(tone(0.05))))
        output.clear_buffer()  # in the middle of a segment, whose rest is dropped
        await say(output, 0.1)
        await asyncio.wait_for(output.wait_for_playout(), 1)
        assert len(told) == 3 and output.waiting_s == 0
        await output.aclose()

    asyncio.run(scene())


def test_speech_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_output, "MAX_WAITING_S", 0.1)
    monkeypatch.setattr(local_output, "LOOK_S", 0.001)

    async def scene() -> None:
        output = LocalSpeechOutput()
        saying = asyncio.create_task(say(output, 0.5))
        taken = 0
        while not saying.done():
            await output.__anext__()
            taken += 1
            assert output.waiting_s <= 0.15
            await asyncio.sleep(0.005)
        assert taken >= 7
        await output.aclose()

    asyncio.run(scene())
