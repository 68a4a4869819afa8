"""The description of the API in a browser, with its scripts under the page's own policy."""

from __future__ import annotations

import pytest

from tests.browser.server_process import ServerProcess
from tests.browser.viewer_page import ViewerPage

pytestmark = pytest.mark.alone


async def test_the_documentation_shows_every_call_without_the_internet(
    blank: ViewerPage, server: ServerProcess
) -> None:
    page = blank.page
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    await page.goto(f"{server.address}/docs")
    await page.wait_for_selector(".opblock-summary-path")
    document = await (await page.request.get(f"{server.address}/openapi.json")).json()
    calls = sum(len(operations) for operations in document["paths"].values())
    assert await page.locator(".opblock").count() == calls
    described = await (await page.request.get(f"{server.address}/asyncapi.json")).json()
    messages = described["components"]["messages"]
    assert await page.locator("#websocket h4").count() == len(messages)
    row = page.locator("#websocket tr", has_text="opens_line").first
    assert "boolean" in await row.inner_text()
    assert all(address.startswith((server.address, "data:")) for address in addresses)
    assert problems == []
