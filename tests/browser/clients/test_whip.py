"""Browsers in the place of a server that takes WHIP: others read our offer as they do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any, TypeAlias

import pytest

from lipstream.server.rtc.media_sender import MediaWorkers
from lipstream.server.rtc.publisher import Publisher
from lipstream.server.rtc.settings import TransportSettings
from tests.browser.chromium import Chromium
from tests.browser.clients.firefox import FirefoxPage
from tests.server.sources import MarkedSource

pytestmark = [pytest.mark.alone, pytest.mark.clients]

PICTURES, PATIENCE_S = 50, 20.0
ANSWER = """async (offer) => {
  const peer = window.peer = new RTCPeerConnection();
  const video = document.body.appendChild(document.createElement('video'));
  video.srcObject = new MediaStream();
  video.muted = true;
  peer.ontrack = ({ track }) => { video.srcObject.addTrack(track); video.play(); };
  await peer.setRemoteDescription({ type: 'offer', sdp: offer });
  await peer.setLocalDescription(await peer.createAnswer());
  while (peer.iceGatheringState !== 'complete') await new Promise((go) => setTimeout(go, 50));
  return peer.localDescription.sdp;
}"""
RECEIVED = """async () => {
  const all = [...(await window.peer.getStats()).values()];
  const of = (kind) => all.find((one) => one.type === 'inbound-rtp' && one.kind === kind) ?? {};
  const codec = all.find((one) => one.id === of('video').codecId)?.mimeType;
  return { pictures: of('video').framesDecoded ?? 0, sound: of('audio').packetsReceived ?? 0,
           lost: of('video').packetsLost ?? 0, codec: codec ?? '' };
}"""

Evaluate: TypeAlias = Callable[..., Awaitable[Any]]


async def received(evaluate: Evaluate) -> dict[str, Any]:
    """What a page has received of a published stream, once it has decoded some pictures."""
    with closing(MediaWorkers(1)) as workers:
        publisher = Publisher(MarkedSource((512, 512)), TransportSettings(), workers)
        try:
            await publisher.take(await evaluate(ANSWER, await publisher.offer()))
            ends = asyncio.get_running_loop().time() + PATIENCE_S
            found: dict[str, Any] = {"pictures": 0}
            while found["pictures"] < PICTURES and asyncio.get_running_loop().time() < ends:
                await asyncio.sleep(0.2)
                found = await evaluate(RECEIVED)
        finally:
            await publisher.close()
    return found


async def test_chromium_takes_it(chromium: Chromium) -> None:
    page = await chromium.browser.new_page()
    found = await received(page.evaluate)
    await page.close()
    assert found["pictures"] >= PICTURES and found["sound"] >= 1.8 * PICTURES, found
    assert found["lost"] == 0 and found["codec"] == "video/H264"


def test_firefox_takes_it(firefox: FirefoxPage) -> None:
    async def evaluate(function: str, *arguments: object) -> Any:
        return await asyncio.to_thread(firefox.evaluate, function, *arguments)

    found = asyncio.run(received(evaluate))
    assert found["pictures"] >= PICTURES and found["sound"] >= 1.8 * PICTURES, found
    assert found["codec"] in ("video/H264", "video/VP8")
