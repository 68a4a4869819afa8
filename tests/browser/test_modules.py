"""Single functions of the page's modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.service import Service
from tests.browser.stage import Stage

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.alone

OFFER = "\r\n".join(
    [
        "v=0",
        "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:secret-secret-secret-secret",
        "a=mid:0",
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "a=mid:1",
        "",
    ]
)
HOST = "candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host"


@pytest.fixture(scope="module")
def page(stage: Stage, service: Service) -> Iterator[Page]:
    async def opened() -> Page:
        page = await stage.browser.new_page()
        await page.goto(service.address)
        return page

    made = stage.run(opened())
    yield made
    stage.run(made.close())


def call(stage: Stage, page: Page, module: str, expression: str, *given: Any) -> Any:
    """The value of a JavaScript expression of `module` and `given`."""
    script = f"(given) => import('/{module}').then((module) => {expression})"
    return stage.run(page.evaluate(script, list(given)))


def test_candidates_are_written_under_their_line(stage: Stage, page: Page) -> None:
    candidates = [{"sdpMid": "1", "candidate": HOST}]
    text = call(stage, page, "whep.js", "module.fragment(...given)", OFFER, candidates)
    assert text == (
        "a=ice-ufrag:abcd\r\na=ice-pwd:secret-secret-secret-secret\r\n"
        f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na={HOST}\r\n"
    )


def test_the_end_of_candidates_is_said(stage: Stage, page: Page) -> None:
    text = call(stage, page, "whep.js", "module.fragment(...given)", OFFER, [None])
    assert text.endswith("a=mid:0\r\na=end-of-candidates\r\n")


@pytest.mark.parametrize(
    ("sound", "samples"),
    [
        ("Float32Array.of(0, 0.5, -1, 1, 2, -2)", [0, 16384, -32767, 32767, 32767, -32767]),
        ("Int16Array.of(0, -1, 32767)", [0, -1, 32767]),
        ("Int16Array.of(7, 8, 9).subarray(1)", [8, 9]),
        ("Int16Array.of(5, -6).buffer", [5, -6]),
    ],
)
def test_samples_become_bytes(stage: Stage, page: Page, sound: str, samples: list[int]) -> None:
    bytes_ = call(stage, page, "speech.js", f"[...module.pcmBytes({sound})]")
    pairs = zip(bytes_[::2], bytes_[1::2], strict=True)
    assert [int.from_bytes(pair, "little", signed=True) for pair in pairs] == samples


def test_what_is_no_sound_is_refused(stage: Stage, page: Page) -> None:
    expression = "(() => { try { module.pcmBytes('text') } catch (e) { return e.message } })()"
    assert "takes a Blob" in call(stage, page, "speech.js", expression)


def test_an_unreachable_server_is_told_in_a_sentence(stage: Stage, page: Page) -> None:
    expression = "new module.Api('/').call('GET', 'data:,nothing').catch((e) => e.message)"
    assert "cannot be reached" in call(stage, page, "api.js", expression)
