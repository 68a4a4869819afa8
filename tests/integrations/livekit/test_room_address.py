"""The address of a room: what cannot open one is said before anything is tried."""

from __future__ import annotations

import time

import pytest

from lipstream.errors import OptionError
from lipstream.integrations.livekit.room_address import RoomAddress, RoomServers
from tests.room_tokens import jwt

URL = "wss://rooms.example.org"


@pytest.mark.parametrize(
    "url", [URL, "ws://127.0.0.1:7880", "https://rooms.example.org/path", "ws://[::1]:7880"]
)
def test_addresses_of_servers_are_taken(url: str) -> None:
    address = RoomAddress(url, jwt(exp=time.time() + 60), "agent")
    assert url not in repr(address) and address.token not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "rooms.example.org",
        "ftp://a",
        "wss://",
        "ws://a:99999",
        "ws://user:pw@a",
        "ws://[::1",
        "ws://a?token=b",
        "ws://a/\n",
    ],
)
def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(OptionError, match=r"^livekit\.url is no address of a LiveKit server"):
        RoomAddress(url, jwt(), "agent")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "secret",
        "a.b.c",
        "a.!!!.c",
        jwt(video={"room": "r"}),
        jwt(video="all"),
        jwt(sub=""),
        jwt() + "x" * 8_000,
        jwt() + "\r\nX: y",
        jwt().replace(".", "\r\n.", 1),
        jwt() + "\u00e9",
        jwt() + "\ud800",
    ],
)
def test_what_is_no_token_is_told_without_it(token: str) -> None:
    with pytest.raises(OptionError, match=r"^livekit\.token is no access token") as refusal:
        RoomAddress(URL, token, "agent")
    assert len(token) < 3 or token not in str(refusal.value)


def test_servers_are_told_apart_by_scheme_host_and_port() -> None:
    servers = RoomServers([URL, "ws://127.0.0.1:7880"])

    def allowed(url: str) -> bool:
        return servers.allowed(RoomAddress(url, jwt(), "agent"))

    assert allowed(URL) and allowed("https://ROOMS.example.org:443/rtc")
    assert allowed("ws://127.0.0.1:7880/") and allowed("http://127.0.0.1:7880")
    assert not allowed("ws://rooms.example.org") and not allowed("ws://127.0.0.1:7881")
    assert not allowed("wss://rooms.example.org.evil.example") and not RoomServers([])


def test_an_old_token_is_told() -> None:
    with pytest.raises(OptionError, match="has expired"):
        RoomAddress(URL, jwt(exp=time.time() - 1), "agent")


def test_a_token_that_lets_nobody_publish_is_told() -> None:
    with pytest.raises(OptionError, match="may not publish"):
        RoomAddress(URL, jwt(video={"roomJoin": True, "canPublish": False}), "agent")


@pytest.mark.parametrize("identity", ["", "a" * 257, "a\ud800"])
def test_an_agent_has_a_name(identity: str) -> None:
    with pytest.raises(OptionError, match="agent_identity"):
        RoomAddress(URL, jwt(), identity)
