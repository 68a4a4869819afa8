"""The clock of pictures in Pipecat's SmallWebRTC transport, with a stand-in for its track."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest

from pipecat_lipstream.pacing import MODULE, TIMESTAMP, pace_pictures


@dataclass
class Picture:
    metadata: dict[str, Any] = field(default_factory=dict)


class RawVideoTrack:
    """As in pipecat-ai 1.14.0: a queue, and aiortc's 30 frames a second."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Picture] = asyncio.Queue()
        self.timestamp = 0

    def add_video_frame(self, frame: Picture) -> None:
        self.queue.put_nowait(frame)

    async def next_timestamp(self) -> tuple[int, Fraction]:
        self.timestamp += 3000
        return self.timestamp, Fraction(1, 90_000)

    async def recv(self) -> int:
        await self.queue.get()
        return (await self.next_timestamp())[0]


def test_pictures_of_ours_have_their_own_time_and_others_the_usual_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module: Any = ModuleType(MODULE)
    module.RawVideoTrack = type("RawVideoTrack", (RawVideoTrack,), {})
    monkeypatch.setitem(sys.modules, MODULE, module)
    assert pace_pictures() and pace_pictures()

    async def play() -> list[int]:
        track = module.RawVideoTrack()
        for time in (0, 3600, None, 10_800):
            track.add_video_frame(Picture({} if time is None else {TIMESTAMP: time}))
        return [await track.recv() for _ in range(4)]

    assert asyncio.run(play()) == [0, 3600, 3000, 10_800]


def test_a_track_that_has_pictures_already_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another bot of the process may be on the air when the first avatar comes."""
    module: Any = ModuleType(MODULE)
    module.RawVideoTrack = type("RawVideoTrack", (RawVideoTrack,), {})
    monkeypatch.setitem(sys.modules, MODULE, module)

    async def play() -> list[int]:
        track = module.RawVideoTrack()
        track.add_video_frame(Picture())
        assert pace_pictures()
        first = await track.recv()
        track.add_video_frame(Picture())
        return [first, await track.recv()]

    assert asyncio.run(play()) == [3000, 6000]


def test_nothing_is_imported_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    assert not pace_pictures() and MODULE not in sys.modules
