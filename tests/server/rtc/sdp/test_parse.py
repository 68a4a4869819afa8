"""Offers and candidates from strangers: what is taken, and each refusal in one sentence."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from aiortc import RTCIceCandidate
from hypothesis import given
from hypothesis import strategies as st

from lipstream.server.rtc.ice_servers import ice_links, link_headers
from lipstream.server.rtc.interfaces import RestartError, SignallingError
from lipstream.server.rtc.sdp.parse import (
    MAX_SDP_BYTES,
    MAX_SDP_LINES,
    parse_candidate,
    read_fragment,
    read_offer,
    usable,
)
from lipstream.server.rtc.settings import TransportSettings
from tests.server.rtc.offers import (
    AUDIO,
    DATA,
    PASSWORD,
    SESSION,
    USERNAME,
    VIDEO,
    candidate,
    fragment,
    offer,
)


def test_a_browsers_offer_is_read() -> None:
    text = read_offer(offer(AUDIO + f"a={candidate()}\n", VIDEO, DATA))
    assert [line.kind for line in text.media] == ["audio", "video", "application"]
    assert (text.audio.mid, text.video.mid) == ("0", "1")
    assert (text.audio.direction, text.video.direction) == ("recvonly", "recvonly")
    assert (text.username, text.password, text.lite) == (USERNAME, PASSWORD, False)
    assert [found.ip for found in text.candidates] == ["198.51.100.7"]


def test_credentials_of_the_whole_session_count() -> None:
    lines = (f"ice-ufrag:{USERNAME}", f"ice-pwd:{PASSWORD}", "ice-lite")
    session = SESSION + "".join(f"a={line}\n" for line in lines)
    without = f"a=ice-ufrag:{USERNAME}\na=ice-pwd:{PASSWORD}\n"
    text = read_offer(
        offer(AUDIO.replace(without, ""), VIDEO.replace(without, ""), session=session)
    )
    assert (text.username, text.lite) == (USERNAME, True)


def drop(section: str, start: str) -> str:
    """The section without the lines that begin so."""
    return "".join(f"{line}\n" for line in section.splitlines() if not line.startswith(start))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no SDP"),
        ("hello", "no SDP"),
        ('{"type": "offer"}', "no SDP"),
        ("v=0\r\n", "no audio"),
        (offer(AUDIO), "no video"),
        (offer(VIDEO), "no audio"),
        (offer(AUDIO, VIDEO, VIDEO), "2 video lines"),
        (offer(drop(AUDIO, "a=ice-ufrag"), VIDEO), "no ICE user name"),
        (offer(AUDIO, drop(VIDEO, "a=ice-pwd")), "no ICE password"),
        (offer(drop(AUDIO, "a=fingerprint"), VIDEO), "no DTLS fingerprint"),
        (offer(AUDIO.replace("sha-256", "md5"), VIDEO), "must be one of sha-256"),
        (offer(AUDIO.replace("sha-256", "sha-256 x"), VIDEO), "must be one of sha-256"),
        (offer(drop(AUDIO, "a=setup"), VIDEO), "no DTLS role"),
        (offer(AUDIO.replace("actpass", "holdconn"), VIDEO), "a=setup"),
        (offer(drop(AUDIO, "a=rtcp-mux"), VIDEO), "rtcp-mux"),
        (offer(drop(AUDIO, "a=mid"), VIDEO), "a=mid"),
        (offer(AUDIO, VIDEO.replace("a=mid:1", "a=mid:0")), "same a=mid"),
        (offer(session=SESSION.replace("BUNDLE 0 1", "BUNDLE 0")), "bundle"),
        (offer(AUDIO, VIDEO.replace("recvonly", "sendonly")), "video is sendonly"),
        (offer(AUDIO.replace("recvonly", "inactive"), VIDEO), "audio is inactive"),
        (offer(AUDIO, VIDEO.replace("m=video 9", "m=video")), "m= line"),
        (offer(AUDIO, VIDEO, "m=\n"), "m= line"),
        (offer(AUDIO + "a=candidate:rubbish\n", VIDEO), "candidate"),
        (offer(AUDIO, VIDEO + "a=x:\0\n"), "cannot be printed"),
        (offer(AUDIO, VIDEO) + "a=x\r\n" * MAX_SDP_LINES, f"more than {MAX_SDP_LINES} lines"),
        (offer(AUDIO, VIDEO) + "a=" + "x" * MAX_SDP_BYTES, "longer than 64 KiB"),
        ("v=0\r\n" + "é" * (MAX_SDP_BYTES // 2), "longer than 64 KiB"),
    ],
)
def test_unusable_offers_are_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(SignallingError, match=words) as caught:
        read_offer(text)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message and len(message) < 160


@given(st.data())
def test_damaged_offers_are_refused_or_read(data: st.DataObject) -> None:
    lines = offer(AUDIO, VIDEO, DATA).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        lines[place] = data.draw(
            st.sampled_from(["", "m=", "m=audio", "a=", "a=mid:", "a=candidate:", "v=0"])
            | st.text(max_size=30)
            | st.just(lines[place][: data.draw(st.integers(0, 20))])
        )
    try:
        read_offer("\r\n".join(lines))
    except SignallingError:
        pass


def test_candidates_count_wherever_they_stand() -> None:
    before = fragment(candidate(port=1), "mid:0", candidate(port=2), "end-of-candidates")
    after = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" + fragment("mid:0", candidate(port=3))
    ports = [
        [found.port for found in read_fragment(text, USERNAME, PASSWORD)]
        for text in (before, after)
    ]
    assert ports == [[1, 2], [3]]
    assert read_fragment("a=mid:0\r\n", USERNAME, PASSWORD) == []


def test_new_credentials_are_an_ice_restart() -> None:
    for text in (fragment(username="other"), fragment(password="b" * 24)):
        with pytest.raises(RestartError, match="not supported"):
            read_fragment(text, USERNAME, PASSWORD)


@pytest.mark.parametrize("text", ["nonsense", '{"candidate": ""}', fragment("candidate:1 1 udp")])
def test_fragments_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SignallingError):
        read_fragment(text, USERNAME, PASSWORD)


def named(**changes: object) -> RTCIceCandidate:
    return parse_candidate(candidate(**changes).removeprefix("candidate:"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "at_home", "in_public"),
    [
        ({"host": "8.8.8.8"}, True, True),
        ({"host": "2606:4700::1"}, True, True),
        ({"host": "8.8.8.8", "kind": "srflx"}, True, True),
        ({"host": "192.168.1.4"}, True, False),
        ({"host": "10.0.0.1"}, True, False),
        ({"host": "127.0.0.1"}, True, False),
        ({"host": "::1"}, True, False),
        ({"host": "fd00::2"}, True, False),
        ({"host": "fe80::1"}, True, False),
        ({"host": "100.64.0.1"}, True, False),  # carrier-grade NAT
        ({"host": "::ffff:8.8.8.8"}, True, False),
        ({"host": "::ffff:10.0.0.1"}, True, False),
        ({"host": "64:ff9b::a00:1"}, True, False),  # 10.0.0.1 through NAT64
        ({"host": "2002:a00:1::1"}, True, False),  # the same through 6to4
        ({"host": "169.254.169.254"}, False, False),
        ({"host": "0.0.0.0"}, False, False),
        ({"host": "224.0.0.251"}, False, False),
        ({"host": "a7d1.local"}, True, False),
        ({"host": "example.com"}, False, False),
        ({"host": "8.8.8.8", "protocol": "tcp"}, False, False),
        ({"host": "8.8.8.8", "component": 2}, False, False),
        ({"host": "8.8.8.8", "kind": "new"}, False, False),
        ({"host": "8.8.8.8", "port": 0}, False, False),
        ({"host": "8.8.8.8", "port": 65536}, False, False),
    ],
)
def test_checks_go_to_allowed_addresses_only(
    changes: dict[str, object], at_home: bool, in_public: bool
) -> None:
    one = named(**changes)
    assert (usable(one, private=True), usable(one, private=False)) == (at_home, in_public)


def test_relays_get_credentials_that_expire() -> None:
    settings = TransportSettings(
        ice_servers=("stun:a.example", "turn:b.example:3478?transport=udp", "turns:b.example"),
        turn_secret="north",
        turn_ttl=600,
    )
    plain, relay = ice_links(settings, "abc", now=1000.9)
    assert (plain.urls, plain.username) == (("stun:a.example",), None)
    assert relay.urls == ("turn:b.example:3478?transport=udp", "turns:b.example")
    digest = hmac.new(b"north", b"1600:abc", hashlib.sha1).digest()
    assert (relay.username, relay.credential) == ("1600:abc", base64.b64encode(digest).decode())
    assert link_headers([plain, relay])[:2] == [
        '<stun:a.example>; rel="ice-server"',
        '<turn:b.example:3478?transport=udp>; rel="ice-server"; username="1600:abc"; '
        f'credential="{relay.credential}"; credential-type="password"',
    ]
    assert "north" not in repr(settings)


def test_without_servers_there_are_no_links() -> None:
    assert ice_links(TransportSettings(), "abc") == []
    assert link_headers([]) == []
