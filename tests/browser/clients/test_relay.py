"""The product's page where nothing but a TURN relay gets through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.chromium import Chromium
from tests.browser.clients.coturn import Relay
from tests.browser.conftest import PORTRAIT
from tests.browser.server_process import ServerProcess, start_server
from tests.browser.viewer_page import AVATAR, ViewerPage

pytestmark = [pytest.mark.alone, pytest.mark.clients]

RELAY_ONLY = """
  const Direct = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Direct {
    constructor(settings) { super({ ...settings, iceTransportPolicy: 'relay' }); }
  };
"""
WAY = f"""async () => {{
  const all = [...(await {AVATAR}.connection.stats()).values()];
  const pair = all.find((entry) => entry.type === 'candidate-pair' && entry.nominated);
  const local = all.find((entry) => entry.id === pair.localCandidateId);
  return [local.candidateType, pair.bytesReceived > 50_000];
}}"""
SAY = f"() => {AVATAR}.say('One two three.')"


@pytest.fixture(scope="module")
def server(chromium: Chromium, relay: Relay) -> Iterator[ServerProcess]:
    """A server that knows the relay."""
    with start_server("--beeps", "--turn", relay.url, relay.secret, f"face={PORTRAIT}") as started:
        yield started


async def test_it_plays_through_the_relay_alone(blank: ViewerPage, server: ServerProcess) -> None:
    await blank.page.add_init_script(RELAY_ONLY)
    await blank.open(server.address, server.token)
    await blank.start()
    spoken = await blank.page.evaluate(SAY)
    assert spoken["played_ms"] == 1800 and not spoken["interrupted"]
    assert await blank.page.evaluate(WAY) == ["relay", True]
    await blank.page.click("#toggle")
    await blank.state("idle")
