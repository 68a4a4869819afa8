"""From an offer to the answer: codecs, directions, and what is refused."""

from __future__ import annotations

import pytest
from aiortc import RTCDtlsFingerprint, RTCDtlsParameters, RTCIceCandidate, RTCIceParameters
from hypothesis import given
from hypothesis import strategies as st

from lipstream.server.rtc.interfaces import SignallingError
from lipstream.server.rtc.sdp.answer import agree, answer, published
from lipstream.server.rtc.sdp.media_section import Local
from tests.server.rtc.offers import AUDIO, DATA, FINGERPRINT, SESSION, VIDEO, offer

HOST = RTCIceCandidate(1, "1", "10.0.0.5", 4000, 100, "udp", "host")
LOCAL = Local(
    [HOST],
    RTCIceParameters("ours", "p" * 22),
    RTCDtlsParameters([RTCDtlsFingerprint("sha-256", FINGERPRINT)]),
    {"audio": (1, 2), "video": (3, 4)},
    "name",
)


def sections(text: str) -> list[list[str]]:
    """The lines of an SDP, by m= section; the first are the session's."""
    parts: list[list[str]] = [[]]
    for line in text.split("\r\n")[:-1]:
        if line.startswith("m="):
            parts.append([])
        parts[-1].append(line)
    return parts


@pytest.mark.parametrize(
    ("prefer", "codec", "rtx"),
    [(None, "109 H264", 114), ("h264", "109 H264", 114), ("vp8", "96 VP8", 97)],
)
def test_the_preferred_codec_is_the_only_one(prefer: str | None, codec: str, rtx: int) -> None:
    session, audio, video = sections(answer(agree(offer(), prefer, False), LOCAL))
    number = int(codec.split()[0])
    assert "a=group:BUNDLE 0 1" in session
    assert video[0] == f"m=video 4000 UDP/TLS/RTP/SAVPF {number} {rtx}"
    assert f"a=rtpmap:{codec}/90000" in video
    assert f"a=rtcp-fb:{number} nack pli" in video
    assert "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time" in video
    assert {"a=ssrc-group:FID 3 4", "a=ssrc:3 cname:name", "a=ssrc:4 cname:name"} <= {*video}
    assert audio[0] == "m=audio 4000 UDP/TLS/RTP/SAVPF 111"
    for lines in (audio, video):
        wanted = ["a=sendonly", "a=rtcp-mux", "a=rtcp-mux-only", "a=setup:active"]
        assert all(line in lines for line in wanted)
        assert "a=candidate:1 1 udp 100 10.0.0.5 4000 typ host" in lines
        assert "a=end-of-candidates" in lines
    streams = {line.split()[0] for line in audio + video if line.startswith("a=msid:")}
    assert streams == {"a=msid:lipstream"}


@pytest.mark.parametrize("prefer", [None, "h264", "vp8"])
def test_the_other_codec_does_when_it_is_the_only_one(prefer: str | None) -> None:
    only_vp8 = VIDEO.replace("H264", "H265")
    only_h264 = VIDEO.replace("VP8", "VP9")
    assert agree(offer(AUDIO, only_vp8), prefer, False).video.codec.name == "VP8"
    assert agree(offer(AUDIO, only_h264), prefer, False).video.codec.payloadType == 109


@pytest.mark.parametrize(
    ("offered", "accepted", "answered"),
    [
        ("recvonly", True, "sendonly"),
        ("sendrecv", False, "sendonly"),
        ("sendrecv", True, "sendrecv"),
    ],
)
def test_the_microphone_opens_when_both_want_it(
    offered: str, accepted: bool, answered: str
) -> None:
    agreement = agree(offer(AUDIO.replace("recvonly", offered), VIDEO), None, accepted)
    _, audio, video = sections(answer(agreement, LOCAL))
    assert agreement.microphone == (answered == "sendrecv")
    assert f"a={answered}" in audio and "a=sendonly" in video


def test_a_data_channel_is_refused_and_the_rest_played() -> None:
    session = SESSION.replace("BUNDLE 0 1", "BUNDLE 2 0 1")
    text = answer(agree(offer(DATA, AUDIO, VIDEO, session=session), None, False), LOCAL)
    head, data, audio, _ = sections(text)
    assert "a=group:BUNDLE 0 1" in head
    assert data[0] == "m=application 0 UDP/DTLS/SCTP webrtc-datachannel"
    assert "a=mid:2" in data and "a=sendonly" in audio


@pytest.mark.parametrize(
    ("theirs", "ours"), [("actpass", "active"), ("active", "passive"), ("passive", "active")]
)
def test_the_roles_of_encryption_fit(theirs: str, ours: str) -> None:
    text = offer(AUDIO.replace("actpass", theirs), VIDEO.replace("actpass", theirs))
    assert f"a=setup:{ours}\r\n" in answer(agree(text, None, False), LOCAL)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (offer(AUDIO.replace("opus", "speex"), VIDEO), "OPUS"),
        (offer(AUDIO, VIDEO.replace("H264", "H265").replace("VP8", "VP9")), "H264 or VP8"),
        (offer(AUDIO, VIDEO.replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96")), "damaged"),
        (offer(AUDIO, VIDEO + "a=fmtp:55 apt=1\n"), "damaged"),
        (offer(AUDIO, VIDEO + "a=extmap:x y\n"), "damaged"),
        (offer(AUDIO, VIDEO + "a=ssrc:1\n"), "damaged"),
    ],
)
def test_offers_without_a_way_are_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(SignallingError, match=words):
        agree(text, None, False)


@given(st.data())
def test_no_damage_leads_to_another_error(data: st.DataObject) -> None:
    text = offer(AUDIO, VIDEO, DATA)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text = text[:place] + data.draw(st.text(max_size=6)) + text[place + cut :]
    try:
        answer(agree(text, None, True), LOCAL)
    except SignallingError:
        pass


def test_behind_a_nat_hosts_have_its_address() -> None:
    six = RTCIceCandidate(1, "2", "fd00::1", 4001, 90, "udp", "host")
    other = RTCIceCandidate(1, "3", "10.0.0.6", 4000, 80, "udp", "host")
    relay = RTCIceCandidate(1, "4", "192.0.2.9", 4002, 70, "udp", "relay")
    told = published([HOST, six, other, relay], "203.0.113.1")
    assert [(one.ip, one.port) for one in told] == [
        ("203.0.113.1", 4000),
        ("fd00::1", 4001),
        ("192.0.2.9", 4002),
    ]
    assert published([HOST], None) == [HOST]
