"""What the page does when its session or its connection goes away."""

from __future__ import annotations

import pytest

from tests.browser.service import Service
from tests.browser.stage import Stage
from tests.browser.viewer import AVATAR, Viewer

pytestmark = pytest.mark.alone


async def session_id(viewer: Viewer) -> str:
    return str(await viewer.page.evaluate(f"{AVATAR}.session.id"))


def test_a_session_that_the_server_ends_is_explained(stage: Stage, service: Service) -> None:
    async def scene() -> None:
        viewer = await Viewer.open(stage.browser, service.address, service.token)
        await viewer.start()
        await service.end(await session_id(viewer))
        await viewer.notice("session has ended")
        await viewer.state("idle")
        await service.settled()
        await viewer.start()
        await viewer.close()
        await service.settled()

    stage.run(scene())


def test_a_lost_connection_to_a_session_that_is_gone_opens_another(
    stage: Stage, service: Service
) -> None:
    async def scene() -> None:
        viewer = await Viewer.open(stage.browser, service.address, service.token)
        await viewer.start()
        await viewer.watch()
        first = await session_id(viewer)
        await viewer.page.route("**/whep", lambda route: route.abort())
        await viewer.page.evaluate("() => probe.cut()")
        await viewer.state("reconnecting")
        await service.end(first)
        await viewer.page.unroute("**/whep")
        await viewer.state("live")
        assert await session_id(viewer) != first
        await viewer.close()
        await service.settled()

    stage.run(scene())


def test_stop_and_start_at_once_finds_the_place_free(stage: Stage, service: Service) -> None:
    async def scene() -> None:
        viewer = await Viewer.open(stage.browser, service.address, service.token)
        await viewer.start()
        for _ in range(3):
            await viewer.page.evaluate("() => { toggle.click(); toggle.click(); }")
        await viewer.state("live")
        assert await viewer.page.inner_text("#notice") == ""
        await viewer.page.click("#toggle")
        await viewer.state("idle")
        await service.settled()
        assert await service.sessions() == 0
        await viewer.close()

    stage.run(scene())
