"""The description of the API as readers see it, with its scripts under the page's own policy."""

from __future__ import annotations

import pytest

from tests.browser.service import Service
from tests.browser.stage import Stage

pytestmark = pytest.mark.alone


def test_the_documentation_shows_every_call_without_the_internet(
    stage: Stage, service: Service
) -> None:
    async def scene() -> None:
        context = await stage.browser.new_context()
        page = await context.new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        addresses: list[str] = []
        page.on("request", lambda request: addresses.append(request.url))
        await page.goto(f"{service.address}/docs")
        await page.wait_for_selector(".opblock-summary-path")
        document = await (await context.request.get(f"{service.address}/openapi.json")).json()
        calls = sum(len(operations) for operations in document["paths"].values())
        assert await page.locator(".opblock").count() == calls
        assert all(address.startswith((service.address, "data:")) for address in addresses)
        assert problems == []
        await context.close()

    stage.run(scene())
