"""The addresses to which a server pushes, and those that only look like them."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.errors import OptionError
from lipstream.server.outputs.push_address import MAX_URL, PushAddress, PushAddresses

ALLOWED = PushAddresses(
    [
        "rtmp://live.example.org/app",
        "https://whip.example.org/",
        "http://127.0.0.1:8889/in/",
        "http://[::1]:8889/in",
    ]
)


@pytest.mark.parametrize(
    "url",
    [
        "rtmp://live.example.org/app",
        "rtmp://live.example.org/app/key?token=a/b",
        "rtmp://LIVE.example.org:1935/app/key",
        "https://whip.example.org/any/thing",
        "https://whip.example.org",
        "https://whip.example.org:443/x",
        "http://[::1]:8889/in/a",
        "http://127.0.0.1:8889/in/whip",
        "https://whip.example.org/a..b/..c/...;x=1/%41%2Fb",
    ],
)
def test_what_lies_below_an_allowed_beginning_is_allowed(url: str) -> None:
    address = PushAddress.parse(url)
    assert address is not None and ALLOWED.allowed(address)
    assert "key" not in repr(address) and "token" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "rtmp://live.example.org/application/key",
        "rtmps://live.example.org/app/key",
        "rtmp://live.example.org:1936/app/key",
        "rtmp://live.example.org.evil.test/app/key",
        "rtmp://evil.test/app/key",
        "http://whip.example.org/",
        "http://127.0.0.1:8889/inner",
        "http://[::2]:8889/in/",
    ],
)
def test_other_addresses_are_not(url: str) -> None:
    address = PushAddress.parse(url)
    assert address is not None and not ALLOWED.allowed(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "rtmp:///app",
        "rtmp://user:secret@live.example.org/app",
        "rtmp://live.example.org\\@evil.test/app",
        "rtmp://live.example.org/app/../other",
        "rtmp://live.example.org/app/%2e%2E/other",
        "rtmp://live.example.org/app/./x",
        "https://whip.example.org/in/..%2Fother",
        "https://whip.example.org/in/..%5cother",
        "https://whip.example.org/in/..;/other",
        "https://whip.example.org/in/%2e.;a=b/other",
        "https://whip.example.org/in/%252e%252e/other",
        "https://whip.example.org/in%252F..%252Fother",
        "rtmp://live.example.org:0/app",
        "rtmp://live.example.org:99999/app",
        "rtmp://live.example.org/app key",
        "rtmp://live.example.org/app\n",
        "rtmp://live.example.org/app#x",
        "https://whip.example.org/" + "a" * MAX_URL,
        "rtmp://live.éxample.org/app",
        "rtmp://live..example.org/app",
        "rtmp://-/app",
        "rtmp://[:::]/app",
        "rtmp://[1.2.3.4]/app",
    ],
)
def test_what_might_be_read_in_two_ways_is_none(url: str) -> None:
    assert PushAddress.parse(url) is None


@pytest.mark.parametrize("beginning", ["live.example.org", "rtmp://h/a?secret=1", "srt://h/secret"])
def test_a_wrong_beginning_is_refused_and_not_repeated(beginning: str) -> None:
    with pytest.raises(OptionError, match="--push-to") as refused:
        PushAddresses([beginning])
    assert "secret" not in str(refused.value)


URLS = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "rtmps", "HTTP"]),
    st.sampled_from(["a", "a.B", "1.2.3.4", "[::1]"]) | st.text("aB0.-[]:_%@é", max_size=6),
    st.sampled_from(["", "", ":80", ":0", ":99999", ":"]),
    st.text("/aé.%2E;=@:?#\\ \t\n[]~", max_size=12),
)


@given(URLS)
def test_what_is_taken_is_read_alike_by_others(text: str) -> None:
    address = PushAddress.parse(text)
    if address is None:
        return
    ours = (address.host, address.port)
    default = {"http": 80, "rtmps": 443}[address.scheme]
    split, url = urlsplit(address.url), httpx.URL(address.url)
    assert (split.hostname, split.port or default) == ours
    assert (url.host, url.port or default) == ours
    assert url.path == unquote(address.path)


def test_without_any_nothing_is_allowed() -> None:
    address = PushAddress.parse("rtmp://127.0.0.1/live/a")
    assert address is not None and not PushAddresses([]).allowed(address)
