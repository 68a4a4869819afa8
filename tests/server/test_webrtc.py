"""A viewer over real WebRTC on this machine: what reaches it, and what is left when it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from lipstream.server.webrtc import MediaWorkers, TransportSettings, WebRTCTransport
from tests.server.sources import MarkedSource
from tests.server.viewers import Viewer


@pytest.fixture
def workers() -> Iterator[MediaWorkers]:
    pool = MediaWorkers()
    yield pool
    pool.close()


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, 30))


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_picture_and_sound_arrive_in_step(workers: MediaWorkers, codec: str) -> None:
    async def scenario() -> Viewer:
        source = MarkedSource()
        transport = WebRTCTransport(source, TransportSettings(codec=codec), workers)
        viewer = Viewer()
        await viewer.connect(transport)
        await viewer.until(25)
        await transport.close()
        await viewer.close()
        assert source.open == 0
        return viewer

    viewer = run(scenario())
    names = {"h264": "H264/90000", "vp8": "VP8/90000"}
    assert names[codec] in viewer.answer
    indices = [seen.index for seen in viewer.seen]
    assert indices == list(range(indices[0], indices[0] + len(indices)))
    spacings = {b.pts - a.pts for a, b in zip(viewer.seen, viewer.seen[1:], strict=False)}
    assert spacings == {3600}
    steps = {b.pts - a.pts for a, b in zip(viewer.heard, viewer.heard[1:], strict=False)}
    assert steps == {960}
