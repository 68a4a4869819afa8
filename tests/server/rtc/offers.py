"""Offers as browsers write them, with what a test wants to change."""

from __future__ import annotations

FINGERPRINT = ":".join(["AB"] * 32)
USERNAME, PASSWORD = "fRag", "a" * 24

SESSION = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
"""

TRANSPORT = f"""c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:{USERNAME}
a=ice-pwd:{PASSWORD}
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
"""

AUDIO = f"""m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8
{TRANSPORT}a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
"""

VIDEO = f"""m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 109 114
{TRANSPORT}a=mid:1
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:4 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:103 H264/90000
a=rtcp-fb:103 goog-remb
a=rtcp-fb:103 nack
a=rtcp-fb:103 nack pli
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:104 rtx/90000
a=fmtp:104 apt=103
a=rtpmap:109 H264/90000
a=rtcp-fb:109 nack
a=rtcp-fb:109 nack pli
a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:114 rtx/90000
a=fmtp:114 apt=109
"""

DATA = f"""m=application 9 UDP/DTLS/SCTP webrtc-datachannel
{TRANSPORT}a=mid:2
a=sctp-port:5000
a=max-message-size:262144
"""


def offer(*media: str, session: str = SESSION) -> str:
    """An offer of these m= sections, by default sound and picture."""
    return (session + "".join(media or (AUDIO, VIDEO))).replace("\n", "\r\n")


def candidate(
    host: str = "198.51.100.7",
    port: int = 50_000,
    *,
    protocol: str = "udp",
    kind: str = "host",
    component: int = 1,
) -> str:
    """An `a=candidate` line without the a=."""
    return f"candidate:1 {component} {protocol} 2113937151 {host} {port} typ {kind} generation 0"


def fragment(*lines: str, username: str = USERNAME, password: str = PASSWORD) -> str:
    """A `trickle-ice-sdpfrag` with these attributes."""
    head = [f"ice-ufrag:{username}", f"ice-pwd:{password}"]
    return "".join(f"a={line}\r\n" for line in [*head, *lines])
