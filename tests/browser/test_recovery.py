"""The page after its session has ended or its connection is lost."""

from __future__ import annotations

import pytest

from tests.browser.server_process import ServerProcess
from tests.browser.viewer_page import ViewerPage

pytestmark = pytest.mark.alone

# Without a TURN server no address of a relay is found, so the browser's offer names none at all.
NO_ADDRESS = """
const { RTCPeerConnection } = window;
window.RTCPeerConnection = function (settings) {
  return new RTCPeerConnection({ ...settings, iceTransportPolicy: 'relay' });
};
"""


async def test_a_session_that_the_server_ends_is_explained(
    viewer: ViewerPage, server: ServerProcess
) -> None:
    await viewer.start()
    await server.end(await viewer.session_id())
    await viewer.notice("session has ended")
    await viewer.state("idle")
    await server.wait_until_free()
    await viewer.start()


async def test_a_lost_connection_to_a_closed_session_opens_another(
    viewer: ViewerPage, server: ServerProcess
) -> None:
    await viewer.start()
    await viewer.watch()
    first = await viewer.session_id()
    await viewer.page.route("**/whep", lambda route: route.abort())
    await viewer.page.evaluate("() => probe.cut()")
    await viewer.state("reconnecting")
    await server.end(first)
    await viewer.page.unroute("**/whep")
    await viewer.state("live")
    assert await viewer.session_id() != first


async def test_stop_and_start_at_once_finds_the_place_free(
    viewer: ViewerPage, server: ServerProcess
) -> None:
    await viewer.start()
    for _ in range(3):
        await viewer.page.evaluate("() => { toggle.click(); toggle.click(); }")
    await viewer.state("live")
    assert await viewer.page.inner_text("#notice") == ""
    await viewer.page.click("#toggle")
    await viewer.state("idle")
    await server.settled()
    assert await server.sessions() == 0


async def test_a_browser_without_a_network_is_told_so(
    viewer: ViewerPage, server: ServerProcess
) -> None:
    await viewer.page.evaluate(NO_ADDRESS)
    await viewer.page.click("#toggle")
    await viewer.notice("no network address")
    await viewer.state("idle")
    await server.settled()
    assert await server.sessions() == 0
