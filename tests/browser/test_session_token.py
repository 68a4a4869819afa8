"""<lipstream-avatar> on a page of any origin, with a session that its own server has opened."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from websockets.asyncio.client import connect

from lipstream.server.api.socket_sender import GOING_AWAY
from tests.browser.chromium import Chromium
from tests.browser.conftest import PORTRAIT
from tests.browser.figures import Bound, offsets, percentile
from tests.browser.server_process import ServerProcess, start_server
from tests.browser.site import Site
from tests.browser.viewer_page import TIMEOUT_MS, ViewerPage
from tests.timed import judge, measure_until

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.alone

PROBE = Path(__file__).parent / "probe"
ELEMENT = "document.querySelector('lipstream-avatar')"
CAPTIONS = f"{ELEMENT}.shadowRoot.querySelector('.captions')"
WORDS = "One two three four five six seven eight nine ten."
LONG = " ".join(["word"] * 60)
MAX_CAPTION_MS = 80.0  # between a word and its beginning in the sound
LISTEN = f"""() => {{
  window.captions = [];
  {ELEMENT}.addEventListener('caption', ({{ detail }}) =>
    captions.push([performance.now(), detail.text]));
}}"""
LISTEN_TO_SPEECH = f"""() => {{
  window.spoken = 0;
  {ELEMENT}.addEventListener('speech', () => (spoken += 1));
}}"""
INTERRUPTED = f"""async () => {{
  const heard = new Promise((resolve) =>
    {ELEMENT}.addEventListener('caption', resolve, {{ once: true }}));
  const saying = {ELEMENT}.say({json.dumps(LONG)});
  await heard;
  const shown = {CAPTIONS}.textContent;
  await {ELEMENT}.interrupt();
  const {{ played_ms, interrupted }} = await saying;
  const cleared = {CAPTIONS}.textContent;
  const before = captions.length;
  await new Promise((resolve) => setTimeout(resolve, 1500)); // two words long
  return {{ shown, played_ms, interrupted, cleared, later: captions.length - before }};
}}"""


@pytest.fixture(scope="module")
def server(chromium: Chromium) -> Iterator[ServerProcess]:
    """A server that says each word as a beep."""
    with start_server("--beeps", f"face={PORTRAIT}") as started:
        yield started


async def embed(blank: ViewerPage, server: ServerProcess, site: Site) -> Page:
    """Open and start the element on a page that the server was not told of."""
    session = await server.open_session("face")
    given = html.escape(json.dumps(session))
    site.pages["/session.html"] = (
        '<!doctype html><link rel="icon" href="data:,">'
        f'<script type="module" src="{server.address}/lipstream-avatar.js"></script>'
        f'<lipstream-avatar captions server="{server.address}" session="{given}">'
        "</lipstream-avatar>"
    ).encode()
    for path in PROBE.iterdir():
        site.pages[f"/probe/{path.name}"] = path.read_bytes()
    page = blank.page
    await page.goto(f"{site.other_origin}/session.html")
    await page.wait_for_function(f"() => {ELEMENT}.state === 'idle'", timeout=TIMEOUT_MS)
    await page.evaluate(f"() => {ELEMENT}.start()")
    await page.wait_for_function(f"() => {ELEMENT}.firstFrame", timeout=TIMEOUT_MS)
    await page.evaluate(LISTEN)
    return page


async def test_an_interrupt_in_mid_synthesis_ends_words_and_captions(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    page = await embed(blank, server, site)
    assert server.token not in await page.content()
    became = await page.evaluate(INTERRUPTED)
    assert became["shown"] == "word" and became["cleared"] == ""
    assert became["interrupted"] and became["played_ms"] < 10_000
    assert became["later"] == 0
    await page.evaluate(f"() => {ELEMENT}.stop()")
    await server.wait_until_free()
    assert blank.errors == []


async def test_what_the_viewer_says_reaches_the_program_that_listens(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    """Chromium's fake microphone beeps once a second."""
    page = await embed(blank, server, site)
    session: dict[str, Any] = await page.evaluate(f"() => ({{...{ELEMENT}.session}})")
    address = server.address.replace("http", "ws", 1) + session["microphone_url"]
    bearer = {"Authorization": f"Bearer {session['token']}"}
    async with connect(f"{address}?sample_rate=8000", additional_headers=bearer) as socket:
        assert json.loads(await socket.recv())["sample_rate"] == 8000
        assert json.loads(await socket.recv()) == {"type": "viewer", "state": "connected"}
        await page.evaluate(LISTEN_TO_SPEECH)
        await page.evaluate(f"() => {ELEMENT}.microphone(true)")
        beeps, heard = 0, 0
        while beeps < 2 or heard < 8000:
            message = await asyncio.wait_for(socket.recv(), TIMEOUT_MS / 1000)
            assert isinstance(message, bytes)
            sound = np.frombuffer(message, "<i2").astype(np.int32)
            beeps, heard = beeps + bool(abs(sound).max() > 2000), heard + len(sound)
        assert await page.evaluate("() => spoken") == 0  # the avatar repeats nothing
        await page.evaluate(f"() => {ELEMENT}.stop()")
        async for _ in socket:
            pass
        assert socket.close_code == GOING_AWAY
    await server.wait_until_free()
    assert blank.errors == []


def test_captions_are_shown_when_their_words_are_heard(
    chromium: Chromium, blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    page = chromium.run(embed(blank, server, site))
    watch = f"import('/probe/probe.js').then((p) => (window.probe = p).watch({ELEMENT}))"
    chromium.run(page.evaluate(f"() => {watch}"))

    async def say() -> list[float]:
        """Say the words; return how late each caption was, ms."""
        await page.evaluate("() => { captions.length = 0; }")
        await page.evaluate(f"(text) => {ELEMENT}.say(text)", WORDS)
        await page.wait_for_timeout(500)  # until the last word is heard
        shown: list[tuple[float, str]] = await page.evaluate("() => captions")
        assert [text for _, text in shown] == WORDS.split()
        record: dict[str, Any] = await page.evaluate("() => probe.record()")
        return offsets([time for time, _ in shown], record["sounds"])

    def bounds(late: list[float]) -> list[Bound]:
        return [
            Bound("captions beside a beep", len(late), len(WORDS.split())),
            Bound("caption after its word, median", percentile(late, 50), -80, 80),
            Bound(
                "caption beside its word, p90",
                percentile([abs(ms) for ms in late], 90),
                high=MAX_CAPTION_MS,
            ),
        ]

    runs = measure_until(
        lambda: chromium.run(say()), lambda late: all(bound.passed for bound in bounds(late))
    )
    found = bounds(runs[-1].value)
    print(*found, sep="\n")
    judge(all(bound.passed for bound in found), runs, "; ".join(map(str, found)))
