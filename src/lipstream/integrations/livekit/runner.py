"""LiveKit's own runner, for a session and a room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livekit import rtc
from livekit.agents.voice.avatar import AudioReceiver, AvatarOptions, AvatarRunner

from lipstream.integrations.livekit.generator import SessionVideoGenerator, Speaker
from lipstream.timeline import FPS, SOUND_RATE

MAX_BITRATE = 1_500_000  # bits per second of the largest picture that is sent


def open_runner(
    room: rtc.Room, receiver: AudioReceiver, speaker: Speaker, size: tuple[int, int]
) -> AvatarRunner:
    """A runner, not yet started, that shows `speaker` in pictures of `size` (width, height) and
    has it say what `receiver` gives."""
    return AvatarRunner(
        RoomOfRunner(room),
        audio_recv=receiver,
        video_gen=SessionVideoGenerator(speaker),
        options=AvatarOptions(*size, float(FPS), SOUND_RATE, 1),
    )


class RoomOfRunner:
    """A room as a runner uses it, in which pictures are published at their own rate.

    A runner names no rate, and the library then takes that of a preset near the size: 15 a second
    for pictures of 256 x 256, 20 for those of 512 x 512.
    """

    def __init__(self, room: rtc.Room) -> None:
        self._room = room

    @property
    def local_participant(self) -> RoomOfRunner:
        """The participant that tracks are published by."""
        return self

    async def publish_track(
        self, track: rtc.LocalTrack, options: rtc.TrackPublishOptions
    ) -> rtc.LocalTrackPublication:
        """Publish a track of the runner."""
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            options.video_encoding.max_framerate = float(FPS)
            options.video_encoding.max_bitrate = MAX_BITRATE
        return await self._room.local_participant.publish_track(track, options)

    def isconnected(self) -> bool:
        """True while the room is there."""
        return bool(self._room.isconnected())

    def on(self, event: str, callback: Callable[..., Any]) -> None:
        """Call `callback` with an event of the room."""
        self._room.on(event, callback)

    def off(self, event: str, callback: Callable[..., Any]) -> None:
        """Call it no more."""
        self._room.off(event, callback)
