"""A live session and its speech, pushed for as long as it lasts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lipstream.live.cancellation import cancel_until_ended
from lipstream.live.session.session import Session
from lipstream.live.session.types import SessionEvent
from lipstream.media.audio_reader import open_audio
from lipstream.push.live_push import LivePush
from lipstream.timeline import UNIT_MS


async def broadcast(
    session: Session,
    push: LivePush,
    audio: Path | None = None,
    seconds: float | None = None,
) -> None:
    """Push the units of `session`, which speaks `audio`, from the first connection on: for
    `seconds`, else until that was spoken, else until cancelled. Raises PushRefusedError.
    """
    pushing = asyncio.create_task(push.run())
    try:
        await _connected(push, pushing)
        spoken = asyncio.Event()

        def on_event(event: SessionEvent) -> None:
            if event.kind in ("ended", "interrupted", "failed"):
                spoken.set()

        session.add_listener(on_event)
        speaking = None if audio is None else asyncio.create_task(_speak(session, audio))
        units = 0
        async for unit in session.units():
            push.put(unit)
            units += 1
            over = audio is not None and spoken.is_set() and not unit.speaking
            if over if seconds is None else units * UNIT_MS >= 1000 * seconds:
                break
            if speaking is not None and speaking.done():
                speaking.result()  # an error of the file
        if speaking is not None:
            await cancel_until_ended([speaking])
        if push.connected.is_set():
            await push.end()
            await pushing
    finally:
        await cancel_until_ended([pushing])


async def _connected(push: LivePush, pushing: asyncio.Task[None]) -> None:
    """Return once there was a connection."""
    waiting = asyncio.create_task(push.connected.wait())
    try:
        await asyncio.wait({waiting, pushing}, return_when=asyncio.FIRST_COMPLETED)
        if pushing.done():
            pushing.result()  # what ended it
    finally:
        waiting.cancel()


async def _speak(session: Session, audio: Path) -> None:
    """Push a file as one utterance, as there is room."""
    with open_audio(audio) as sound:
        with session.open_utterance(sound.sample_rate) as utterance:
            for chunk in sound:
                await utterance.room(len(chunk) * 1000 // sound.sample_rate)
                utterance.push(chunk)
