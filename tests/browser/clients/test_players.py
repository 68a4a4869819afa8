"""Players of plain WHEP that others have written, on another origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.server_process import MAX_ATTEMPTS, RETRY_S, ServerProcess
from tests.browser.site import Site
from tests.browser.viewer_page import TIMEOUT_MS, ViewerPage
from tests.packages.npm import bundle

pytestmark = [pytest.mark.alone, pytest.mark.clients]

WHIP_WHEP = """
import { WHEPClient } from 'whip-whep/whep.js';

window.play = async (url, token) => {
  const peer = new RTCPeerConnection();
  peer.addTransceiver('audio', { direction: 'recvonly' });
  peer.addTransceiver('video', { direction: 'recvonly' });
  const stream = new MediaStream();
  peer.ontrack = ({ track }) => stream.addTrack(track);
  document.querySelector('video').srcObject = stream;
  const client = new WHEPClient();
  window.leave = () => client.stop();
  await client.view(peer, url, token);
};
"""
EYEVINN = """
import { WebRTCPlayer } from '@eyevinn/webrtc-player';

window.play = async (url, token) => {
  const player = new WebRTCPlayer({ video: document.querySelector('video'), type: 'whep' });
  window.leave = () => player.unload();
  await player.load(new URL(url), `Bearer ${token}`);
};
"""
PLAYERS = {"whip-whep": WHIP_WHEP, "@eyevinn/webrtc-player": EYEVINN}
PAGE = """<!doctype html><link rel="icon" href="data:,">
<video autoplay playsinline></video><script type="module" src="/player.js"></script>"""
PLAYS = """() => {
  const { videoWidth, currentTime, srcObject } = document.querySelector('video');
  return videoWidth === 512 && currentTime > 0.5 && srcObject.getAudioTracks().length === 1;
}"""


@pytest.mark.parametrize("name", PLAYERS)
async def test_it_plays_and_leaves(
    blank: ViewerPage, server: ServerProcess, site: Site, players: Path, esbuild: Path, name: str
) -> None:
    site.pages["/player.js"] = bundle(esbuild, players, PLAYERS[name])
    site.pages["/player.html"] = PAGE.encode()
    page = blank.page
    calls: list[str] = []
    page.on("response", lambda r: calls.append(f"{r.request.method} {r.status}"))
    await page.goto(f"{site.origin}/player.html")
    await page.wait_for_function("() => window.play", timeout=TIMEOUT_MS)
    whep = f"{server.address}/whep?avatar=face"
    for _ in range(MAX_ATTEMPTS):  # a busy server refuses sessions for a while
        calls.clear()
        await page.evaluate(
            "([url, token]) => play(url, token).catch(() => {})", [whep, server.token]
        )
        if "POST 503" not in calls:
            break
        await page.wait_for_timeout(1000 * RETRY_S)
    await page.wait_for_function(PLAYS, timeout=TIMEOUT_MS)
    assert await server.sessions() == 1
    await page.evaluate("() => leave()")
    await server.wait_until_free()
    assert "POST 201" in calls
    # The player hangs up before it deletes, and a session that a player opened ends with that.
    assert {"DELETE 200", "DELETE 404"} & set(calls)
