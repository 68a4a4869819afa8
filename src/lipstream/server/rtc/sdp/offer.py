"""The SDP offer of a publisher, as WHIP wants it (RFC 9725, section 4.4)."""

from __future__ import annotations

from collections.abc import Sequence

from aiortc import RTCRtpCodecParameters, RTCRtpHeaderExtensionParameters
from aiortc.rtcrtpparameters import RTCRtcpFeedback

from lipstream.server.rtc.encoders import AUDIO_CLOCK, VIDEO_CLOCK
from lipstream.server.rtc.sdp.media_section import (
    ABS_SEND_TIME,
    CONSTRAINED_BASELINE,
    Local,
    media_section,
    session_section,
)

FEEDBACK = [
    RTCRtcpFeedback("nack"),
    RTCRtcpFeedback("nack", "pli"),
    RTCRtcpFeedback("ccm", "fir"),
    RTCRtcpFeedback("goog-remb"),
]
OPUS = RTCRtpCodecParameters(
    "audio/opus", AUDIO_CLOCK, 2, 111, parameters={"minptime": 10, "useinbandfec": 1}
)
H264 = RTCRtpCodecParameters(
    "video/H264",
    VIDEO_CLOCK,
    payloadType=102,
    rtcpFeedback=FEEDBACK,
    parameters={
        "level-asymmetry-allowed": 1,
        "packetization-mode": 1,
        "profile-level-id": CONSTRAINED_BASELINE,
    },
)
VP8 = RTCRtpCodecParameters("video/VP8", VIDEO_CLOCK, payloadType=96, rtcpFeedback=FEEDBACK)
SEND_TIME = RTCRtpHeaderExtensionParameters(id=2, uri=ABS_SEND_TIME)


def offer(local: Local, codec: str | None) -> str:
    """The offer of sound and pictures; `codec` is h264, vp8 or None for both, H.264 first. All
    candidates are in it, so there is no trickle."""
    description = session_section(local, ["0", "1"])
    pictures = {"h264": [H264], "vp8": [VP8], None: [H264, VP8]}[codec]
    with_rtx = [each for one in pictures for each in (one, _rtx(one))]
    # RFC 9725 wants bundle-only in each section, but RFC 9143 (7.2) none in the first: Firefox
    # drops the bundle for it.
    audio = _section("audio", "0", [OPUS], local)
    video = _section("video", "1", with_rtx, local)
    return f"{description}{audio}{video}a=bundle-only\r\n"


def _rtx(codec: RTCRtpCodecParameters) -> RTCRtpCodecParameters:
    """The retransmission of lost packets of `codec`."""
    assert codec.payloadType is not None
    return RTCRtpCodecParameters(
        "video/rtx",
        VIDEO_CLOCK,
        payloadType=codec.payloadType + 1,
        parameters={"apt": codec.payloadType},
    )


def _section(kind: str, mid: str, codecs: Sequence[RTCRtpCodecParameters], local: Local) -> str:
    media = media_section(kind, mid, codecs, [SEND_TIME], local, role="auto")
    return f"{media}a=rtcp-mux-only\r\n"
