"""Whatever a header says, the answer is an answer of ours, never a fault of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lipstream.server.app import create_app
from lipstream.server.security.middleware import SAFE_HEADERS
from lipstream.server.settings import ServeSettings
from tests.fakes import blank_avatar
from tests.server.fake_runtime import FakeRuntime

TOKEN = "right-token-0123"
NAMES = (
    "accept accept-encoding access-control-request-headers access-control-request-method "
    "authorization connection content-length content-type cookie expect forwarded host "
    "if-match if-modified-since if-none-match if-range origin range referer sec-fetch-site "
    "sec-websocket-key sec-websocket-protocol sec-websocket-version transfer-encoding upgrade "
    "x-forwarded-for x-forwarded-proto"
).split()
PIECES = (
    "http:// https:// [::1 [::1] ::1] 127.0.0.1 localhost :8080 :x : / // @ ? # null bytes= 0-0 -1 "
    "99999999999999999999999 -5 , ; = \" ' % %zz bearer Bearer Bearer\xa0x multipart/form-data "
    'boundary= boundary=" charset=utf-16 charset=no application/json application/sdp * \xff \xb2 '
    'Thu, 01 Jan 1970 00:00:00 GMT 99999-13-45T99:99 W/" chunked gzip 100-continue websocket \t'
).split(" ")
VISIBLE = [chr(n) for n in (9, *range(32, 127), *range(128, 256))]  # of RFC 9110, section 5.5
VALUES = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=5).map("".join),
    st.text(st.sampled_from(VISIBLE), max_size=40),
)
PATHS = (
    ("GET", "/healthz"),
    ("GET", "/"),
    ("OPTIONS", "/whep"),
    ("GET", "/v1/avatars/face/picture"),
    ("POST", "/v1/avatars"),
    ("POST", "/v1/sessions"),
    ("POST", "/whep"),
)
Call = Callable[[str, str, dict[str, str]], tuple[int, dict[str, str]]]


@pytest.fixture(scope="module", params=[None, TOKEN])
def call(request: pytest.FixtureRequest) -> Iterator[Call]:
    """Call an application with headers that no client library would send."""
    settings = ServeSettings(rate=0, token=request.param, origins=("https://example.org",))
    app = create_app(settings, avatars={"face": blank_avatar()}, runtime=FakeRuntime())
    loop = asyncio.new_event_loop()
    lifespan = app.router.lifespan_context(app)
    loop.run_until_complete(lifespan.__aenter__())

    def run(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        work: Coroutine[Any, Any, tuple[int, dict[str, str]]] = answer(app, method, path, headers)
        return loop.run_until_complete(asyncio.wait_for(work, 20))

    yield run
    loop.run_until_complete(lifespan.__aexit__(None, None, None))
    loop.close()


async def answer(
    app: FastAPI, method: str, path: str, headers: dict[str, str]
) -> tuple[int, dict[str, str]]:
    """The status and the headers of the answer to a request, or to a WebSocket that is refused;
    101 for one that is accepted."""
    websocket = method == "WEBSOCKET"
    given = {"host": "127.0.0.1:8080", **headers}
    offered = [name.strip() for name in given.get("sec-websocket-protocol", "").split(",")]
    scope: dict[str, Any] = {
        "type": "websocket" if websocket else "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"avatar=face",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        "subprotocols": offered if websocket else [],
        "client": ("127.0.0.1", 1),
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }
    if websocket:
        del scope["method"]
        coming = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1005}]
    else:
        body = b'{"avatar": "face"}'
        coming = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return coming.pop(0) if len(coming) > 1 else coming[0]

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if sent[0]["type"] == "websocket.accept":
        return 101, {}
    found = {name.decode(): value.decode() for name, value in sent[0].get("headers", [])}
    return sent[0]["status"], found


@given(
    st.sampled_from([*PATHS, ("WEBSOCKET", "/v1/sessions/x/audio")]),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
    st.booleans(),
)
@example(("POST", "/v1/sessions"), {"origin": "http://[::1"}, True)
@example(("POST", "/v1/sessions"), {"content-length": "\xb2"}, True)  # a digit, and no number
@settings(max_examples=150, deadline=None)
def test_no_value_of_a_header_is_a_fault(
    call: Call, request_line: tuple[str, str], headers: dict[str, str], right: bool
) -> None:
    if right:
        headers = {"authorization": f"Bearer {TOKEN}", **headers}
    status, _ = call(*request_line, headers)
    assert status < 500 or status == 503


@pytest.mark.parametrize("origin", ["http://[::1", "http://[", "http://a]", "https://\xff", "//"])
@pytest.mark.parametrize("path", ["/healthz", "/v1/avatars"])
def test_an_origin_that_is_none_is_a_foreign_one(call: Call, origin: str, path: str) -> None:
    status, headers = call("GET", path, {"origin": origin, "authorization": f"Bearer {TOKEN}"})
    assert status == (200 if path == "/healthz" else 403)
    assert {name.lower() for name in SAFE_HEADERS} <= {name.lower() for name in headers}
