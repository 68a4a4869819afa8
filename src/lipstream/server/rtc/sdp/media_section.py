"""The m= section of an offer or an answer that describes what this side sends."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from aiortc import (
    RTCDtlsParameters,
    RTCIceCandidate,
    RTCIceParameters,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    sdp,
)
from aiortc.codecs import is_rtx

ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
CONSTRAINED_BASELINE = "42e01f"
PROFILE = "UDP/TLS/RTP/SAVPF"
STREAM = "lipstream"  # the one MediaStream that picture and sound belong to
DISCARD_PORT, ANY_HOST = 9, "0.0.0.0"  # where no address is known yet (RFC 8840, section 4.1)


@dataclass(frozen=True, slots=True)
class Local:
    """The part of an offer or an answer that describes this side."""

    candidates: Sequence[RTCIceCandidate]
    ice: RTCIceParameters
    dtls: RTCDtlsParameters
    ssrcs: dict[str, tuple[int, int]]  # of each kind: media, retransmission
    cname: str


def session_section(local: Local, mids: Sequence[str]) -> sdp.SessionDescription:
    """The lines before the first section; `mids` are the sections that share one transport."""
    description = sdp.SessionDescription()
    description.origin = f"- {local.ssrcs['video'][0]} 2 IN IP4 0.0.0.0"
    description.group.append(sdp.GroupDescription("BUNDLE", list(mids)))
    description.msid_semantic.append(sdp.GroupDescription("WMS", ["*"]))
    return description


def media_section(
    kind: str,
    mid: str,
    codecs: Sequence[RTCRtpCodecParameters],
    extensions: Sequence[RTCRtpHeaderExtensionParameters],
    local: Local,
    *,
    role: str,
    profile: str = PROFILE,
) -> sdp.MediaDescription:
    """The section of sound or pictures that are sent and not received; `role` is ours in DTLS."""
    media = sdp.MediaDescription(
        kind, DISCARD_PORT, profile, [codec.payloadType for codec in codecs]
    )
    media.direction, media.host = "sendonly", ANY_HOST
    media.msid = f"{STREAM} {kind}"
    media.rtcp_port, media.rtcp_host, media.rtcp_mux = DISCARD_PORT, ANY_HOST, True
    media.rtp.muxId, media.rtp.codecs = mid, list(codecs)
    media.rtp.headerExtensions = list(extensions)
    ssrc, rtx_ssrc = local.ssrcs[kind]
    media.ssrc = [sdp.SsrcDescription(ssrc, cname=local.cname)]
    if any(is_rtx(codec) for codec in codecs):
        media.ssrc.append(sdp.SsrcDescription(rtx_ssrc, cname=local.cname))
        media.ssrc_group = [sdp.GroupDescription("FID", [ssrc, rtx_ssrc])]
    media.ice, media.ice_candidates = local.ice, list(local.candidates)
    media.ice_candidates_complete = True
    media.dtls = dataclasses.replace(local.dtls, role=role)
    return media
