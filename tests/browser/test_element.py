"""<lipstream-avatar> by itself: its buttons, its shape, and the promises of its methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import Chromium
from tests.browser.server_process import MAX_ATTEMPTS, RETRY_S, ServerProcess
from tests.browser.site import Site
from tests.browser.test_modules import call
from tests.browser.viewer_page import TIMEOUT_MS, ViewerPage

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.alone

ELEMENT = "document.querySelector('lipstream-avatar')"
MESSAGE = f"{ELEMENT}.shadowRoot.querySelector('.message')"
# A server that was short of time refuses sessions for a while: press again.
START = f"""async () => {{
  for (let attempt = 0; attempt < {MAX_ATTEMPTS}; attempt++) {{
    try {{ return await {ELEMENT}.start(); }}
    catch (error) {{ if (error.status !== 503) throw error; }}
    await new Promise((resolve) => setTimeout(resolve, {1000 * RETRY_S}));
  }}
}}"""


async def embed(blank: ViewerPage, server: ServerProcess, site: Site, attributes: str) -> Page:
    """Open a page of another site with one element."""
    site.pages["/element.html"] = (
        '<!doctype html><link rel="icon" href="data:,">'
        f'<script type="module" src="{server.address}/lipstream-avatar.js"></script>'
        f'<lipstream-avatar server="{server.address}" {attributes}></lipstream-avatar>'
    ).encode()
    await blank.page.goto(f"{site.origin}/element.html")
    await blank.page.wait_for_function(f"() => {ELEMENT}.state === 'idle'", timeout=TIMEOUT_MS)
    return blank.page


async def test_its_own_buttons_start_and_stop(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    page = await embed(blank, server, site, f'avatar="face" token="{server.token}" controls')
    assert await page.get_by_role("button", name="Mute").is_hidden()
    await page.get_by_role("button", name="Start").click()
    await page.wait_for_function(
        f"() => {ELEMENT}.state === 'live' || {MESSAGE}.textContent", timeout=TIMEOUT_MS
    )
    if await page.evaluate(f"{ELEMENT}.state") != "live":
        await page.evaluate(START)
    await page.get_by_role("button", name="Mute").click()
    assert await page.evaluate(f"{ELEMENT}.muted")
    await page.get_by_role("button", name="Stop").click()
    await page.wait_for_function(f"() => {ELEMENT}.state === 'idle'", timeout=TIMEOUT_MS)
    assert blank.errors == []


async def test_it_shows_why_it_cannot_start(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    page = await embed(blank, server, site, f'avatar="nobody" token="{server.token}" controls')
    await page.get_by_role("button", name="Start").click()
    await page.wait_for_function(
        f"() => {MESSAGE}.textContent.includes('does not exist')", timeout=TIMEOUT_MS
    )
    assert await page.evaluate(f"{MESSAGE}.getAttribute('role')") == "alert"


async def test_a_page_with_buttons_of_its_own_shows_errors_itself(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    page = await embed(blank, server, site, f'avatar="nobody" token="{server.token}"')
    refused = await page.evaluate(f"() => {ELEMENT}.start().catch((error) => error.status)")
    assert refused == 404
    assert await page.evaluate(f"{MESSAGE}.hidden")


async def test_a_promise_lasts_until_the_speech_is_spoken(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    page = await embed(blank, server, site, f'avatar="face" token="{server.token}" muted')
    await page.evaluate(START)
    spoken = await page.evaluate(f"() => {ELEMENT}.speak(new Int16Array(12000).fill(900), 24000)")
    assert spoken == {"utterance": spoken["utterance"], "played_ms": 500, "interrupted": False}
    cut = await page.evaluate(
        f"""async () => {{
          const speaking = {ELEMENT}.speak(new Int16Array(240000).fill(900), 24000);
          const started = ({{ detail }}) => detail.type === 'started' && {ELEMENT}.interrupt();
          {ELEMENT}.addEventListener('speech', started);
          return await speaking;
        }}"""
    )
    assert cut["interrupted"] and cut["played_ms"] < 10_000
    assert cut["utterance"] > spoken["utterance"]


async def test_a_wide_picture_keeps_its_shape_and_its_face(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    given = f'avatar="wide" token="{server.token}" style="width: 400px'
    shape = f"() => {ELEMENT}.offsetHeight === 200"
    page = await embed(blank, server, site, f'{given}"')
    await page.wait_for_function(shape, timeout=TIMEOUT_MS)
    page = await embed(blank, server, site, f'{given}; height: 400px" fit="cover"')
    await page.wait_for_function(
        f"""() => getComputedStyle({ELEMENT}.shadowRoot.querySelector('img'))
               .objectPosition.startsWith('2')""",  # the face is at a quarter of the width
        timeout=TIMEOUT_MS,
    )


async def test_a_microphone_that_is_allowed_after_the_stop_stays_off(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    page = await embed(blank, server, site, f'avatar="face" token="{server.token}" muted')
    await page.evaluate(START)
    outcome = await page.evaluate(
        f"""async () => {{
          let allow;
          const stream = new MediaStreamAudioDestinationNode(new AudioContext()).stream;
          navigator.mediaDevices.getUserMedia = () => new Promise((resolve) => {{
            allow = () => resolve(stream);
          }});
          const opening = {ELEMENT}.microphone(true).catch((error) => error.name);
          {ELEMENT}.stop();
          allow();
          return [await opening, stream.getAudioTracks()[0].readyState];
        }}"""
    )
    assert outcome == ["AbortError", "ended"]


async def test_a_session_that_was_given_can_be_taken_back(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    """As text too, which is what React 19 gives."""
    page = await embed(blank, server, site, f'avatar="face" token="{server.token}"')
    found = await page.evaluate(
        f"""() => [{{ id: 'a' }}, '{{"id":"b"}}', null].map((given) => {{
          {ELEMENT}.session = given;
          return {ELEMENT}.session?.id ?? null;
        }})"""
    )
    assert found == ["a", "b", None]


async def test_a_picture_that_could_not_be_loaded_is_tried_again(
    blank: ViewerPage, server: ServerProcess, site: Site
) -> None:
    await blank.page.route("**/picture", lambda route: route.abort(), times=1)
    async with blank.page.expect_event("requestfailed", lambda r: r.url.endswith("/picture")):
        page = await embed(blank, server, site, f'avatar="face" token="{server.token}"')
    await page.wait_for_function(
        f"""() => {{
          {ELEMENT}.setAttribute('avatar', 'face');
          return {ELEMENT}.shadowRoot.querySelector('img').naturalWidth;
        }}""",
        timeout=TIMEOUT_MS,
    )


# Gives events to the promises of utterances and returns what these became.
UTTERANCES = """(async () => {
  const utterances = new module.Utterances();
  const event = (type, utterance, rest) => utterances.receive({ type, utterance, ...rest });
  event('ended', 1, { played_ms: 40 });
  const results = [utterances.finished(1), utterances.finished(2), utterances.finished(3)];
  results.push(utterances.finished(4));
  event('started', 2, { played_ms: 0 });
  event('interrupted', 2, { played_ms: 7 });
  event('failed', 3, { message: 'The voice is gone.' });
  utterances.close();
  return (await Promise.allSettled(results)).map((r) => r.value ?? r.reason.message);
})()"""


def test_each_utterance_settles_its_own_promise(chromium: Chromium, page: Page) -> None:
    results = call(chromium, page, "element/utterances.js", UTTERANCES)
    assert results == [
        {"utterance": 1, "played_ms": 40, "interrupted": False},
        {"utterance": 2, "played_ms": 7, "interrupted": True},
        "The voice is gone.",
        {"utterance": 4, "played_ms": None, "interrupted": True},
    ]


LINES = """(() => {
  const box = document.createElement('p');
  const line = new module.CaptionLine(box);
  const shown = [];
  for (const [text, opens_line] of [['Hello', true], ['there.', false], ['Good', true]]) {
    line.add({ text, opens_line });
    shown.push(box.textContent);
  }
  line.follow({ type: 'interrupted' });
  shown.push(box.textContent);
  return shown;
})()"""


# The last word is heard after the event that ends its utterance; timers are moved by hand.
LAST_WORD = """(() => {
  const { setTimeout: set, clearTimeout: clear } = window;
  const timers = new Map();
  window.setTimeout = (action) => { timers.set(timers.size + 1, action); return timers.size; };
  window.clearTimeout = (timer) => timers.delete(timer);
  const box = document.createElement('p');
  const line = new module.CaptionLine(box);
  const shown = [];
  line.follow({ type: 'ended', utterance: 1 });
  line.add({ text: 'Bye.', utterance: 1, opens_line: true });
  shown.push(box.textContent);
  for (const [timer, action] of [...timers]) {
    timers.delete(timer);
    action();
  }
  shown.push(box.textContent);
  line.follow({ type: 'ended', utterance: 1 });
  line.follow({ type: 'ended', utterance: 2 });
  line.add({ text: 'Back.', utterance: 3, opens_line: true });
  for (const action of [...timers.values()]) action();
  shown.push(box.textContent);
  [window.setTimeout, window.clearTimeout] = [set, clear];
  return shown;
})()"""


# The first utterances of two sessions have the same id.
NEXT_SESSION = """(() => {
  const { setTimeout: set } = window;
  const timers = [];
  window.setTimeout = (action) => timers.push(action);
  const box = document.createElement('p');
  const line = new module.CaptionLine(box);
  line.follow({ type: 'ended', utterance: 1 });
  line.clear();
  timers.splice(0);
  line.add({ text: 'Again.', utterance: 1, opens_line: true });
  window.setTimeout = set;
  return timers.length;
})()"""


def test_a_line_of_the_next_session_stays(chromium: Chromium, page: Page) -> None:
    assert call(chromium, page, "element/captions.js", NEXT_SESSION) == 0


def test_the_last_word_goes_and_the_next_line_stays(chromium: Chromium, page: Page) -> None:
    shown = call(chromium, page, "element/captions.js", LAST_WORD)
    assert shown == ["Bye.", "", "Back."]


def test_captions_are_words_of_one_line(chromium: Chromium, page: Page) -> None:
    shown = call(chromium, page, "element/captions.js", LINES)
    assert shown == ["Hello", "Hello there.", "Good", ""]
