"""An avatar that is drawn in the process of the agent that speaks, and shown as the agent's own."""

from __future__ import annotations

import asyncio
from pathlib import Path

from livekit import rtc
from livekit.agents.voice.avatar import AvatarRunner

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.config import MotionLevel, RuntimeOptions
from lipstream.engine import Engine, open_engine
from lipstream.integrations.livekit.local_output import LocalSpeechOutput
from lipstream.integrations.livekit.runner import open_runner
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.session.session import Session

DRAWING_PROCESSES = 2  # of the puppet; in the agent's own process both would wait for each other


class LocalAvatar:
    """A live session whose units go into a room that the agent has joined.

    `output` is where the agent's sound ends. Used on the agent's event loop.
    """

    def __init__(self, engine: Engine, avatar: Avatar, motion: MotionLevel | None = None) -> None:
        """`avatar` is prepared by `engine`, which `close` closes."""
        self.output = LocalSpeechOutput()
        self._engine, self._scheduler = engine, Scheduler(engine)
        self._session = Session(avatar, self._scheduler, motion=motion)
        self._runner: AvatarRunner | None = None

    @classmethod
    async def open(
        cls,
        avatar: str | Path | Avatar,
        *,
        backend: str = "auto",
        motion: MotionLevel | None = None,
    ) -> LocalAvatar:
        """Open an engine and load a picture, a clip or an .avatar file, in a thread.

        `FaceError` and `PictureError` for what cannot be shown, `OptionError` for an unknown
        backend, `MissingError` for one whose parts are not there.
        """
        engine, shown = await asyncio.to_thread(_opened, avatar, backend)
        return cls(engine, shown, motion)

    async def start(self, room: rtc.Room) -> None:
        """Show the avatar in `room`, once it is connected and somebody listens."""
        self._scheduler.start()
        size = self._session.avatar.size
        self._runner = open_runner(room, self.output, self._session, size)
        await self._runner.start()

    async def close(self) -> None:
        """Stop showing it, and leave nothing behind. May be called twice."""
        if (runner := self._runner) is not None:
            self._runner = None
            await runner.aclose()
        self._session.close()
        await asyncio.to_thread(self._scheduler.close)
        await asyncio.to_thread(self._engine.close)


def _opened(avatar: str | Path | Avatar, backend: str) -> tuple[Engine, Avatar]:
    runtime = RuntimeOptions(live=True, pixel_format="i420")
    engine = open_engine(backend, runtime=runtime, processes=DRAWING_PROCESSES)
    try:
        shown = avatar if isinstance(avatar, Avatar) else open_avatar(avatar)
        return engine, engine.prepare(shown)
    except BaseException:
        engine.close()
        raise
