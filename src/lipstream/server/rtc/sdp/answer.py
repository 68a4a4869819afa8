"""An offer and what we can do, to one agreement and the SDP answer that states it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from aiortc import RTCDtlsParameters, RTCIceCandidate, RTCIceParameters, RTCRtpCodecParameters, sdp
from aiortc.codecs import CODECS, is_rtx
from aiortc.rtcpeerconnection import find_common_codecs

from lipstream.server.rtc.interfaces import SignallingError
from lipstream.server.rtc.sdp.media_section import (
    ABS_SEND_TIME,
    CONSTRAINED_BASELINE,
    Local,
    media_section,
    session_section,
)
from lipstream.server.rtc.sdp.parse import MediaLine, OfferText, read_offer

# Raised by aiortc's parser for damaged SDP.
MALFORMED = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    StopIteration,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """The way one m= line is played."""

    line: MediaLine
    parsed: sdp.MediaDescription  # the same line as aiortc sees it
    codec: RTCRtpCodecParameters
    rtx: RTCRtpCodecParameters | None  # how lost packets are sent again
    abs_send_time: int | None  # id of the header extension

    @property
    def codecs(self) -> list[RTCRtpCodecParameters]:
        return [self.codec] if self.rtx is None else [self.codec, self.rtx]


@dataclass(frozen=True, slots=True)
class Agreement:
    """An offer, and what is made of it."""

    text: OfferText
    audio: MediaPlan
    video: MediaPlan
    microphone: bool  # the peer sends sound too, and it is accepted
    dtls: RTCDtlsParameters  # the peer's
    ice: RTCIceParameters
    role: str  # ours in DTLS: client or server
    controlling: bool  # ours in ICE


def agree(offer: str, prefer: str | None, microphone: bool) -> Agreement:
    """Choose codecs and directions; `prefer` is h264, vp8 or None for the first that fits. Raises
    SignallingError for an offer that cannot be used."""
    text = read_offer(offer)
    try:
        parsed = sdp.SessionDescription.parse(offer)
        audio = _plan(text.audio, parsed, ("audio/opus",))
        order = ("video/h264", "video/vp8")
        video = _plan(text.video, parsed, order[::-1] if prefer == "vp8" else order)
        primary = audio.parsed if text.audio.index < text.video.index else video.parsed
        dtls, ice = primary.dtls, primary.ice
        assert dtls is not None and ice is not None
    except MALFORMED as error:
        raise SignallingError("the offer is damaged SDP; its lines cannot be read.") from error
    microphone = microphone and text.audio.direction == "sendrecv"
    role = "server" if dtls.role == "client" else "client"
    # Who made the offer controls, unless it can do nothing but answer checks.
    return Agreement(text, audio, video, microphone, dtls, ice, role, controlling=text.lite)


def answer(agreement: Agreement, local: Local) -> str:
    """The SDP answer. Lines we have no use for, such as data channels, are refused in it."""
    plans = {plan.line.index: plan for plan in (agreement.audio, agreement.video)}
    mids = [plan.line.mid for _, plan in sorted(plans.items())]
    text = str(session_section(local, mids))
    for line in agreement.text.media:
        plan = plans.get(line.index)
        text += _refused(line) if plan is None else _accepted(plan, agreement, local)
    return text


def published(
    candidates: Sequence[RTCIceCandidate], public_ip: str | None
) -> list[RTCIceCandidate]:
    """Our candidates for the peer: behind a 1:1 NAT, hosts have the public address."""
    if public_ip is None:
        return list(candidates)
    unique: dict[tuple[str, int], RTCIceCandidate] = {}
    for candidate in candidates:
        if candidate.type == "host" and (":" in candidate.ip) == (":" in public_ip):
            candidate = dataclasses.replace(candidate, ip=public_ip)
        unique.setdefault((candidate.ip, candidate.port), candidate)
    return list(unique.values())


def _plan(line: MediaLine, parsed: sdp.SessionDescription, order: Sequence[str]) -> MediaPlan:
    media = parsed.media[line.index]
    common = find_common_codecs(CODECS[line.kind], media.rtp.codecs)
    choices = [codec for codec in common if codec.mimeType.lower() in order]
    if not choices:
        names = " or ".join(name.split("/")[1].upper() for name in order)
        raise SignallingError(f"the offer's {line.kind} has none of our codecs: {names}.")
    codec = min(choices, key=lambda codec: _rank(codec, order))
    rtx = next((c for c in common if is_rtx(c) and c.parameters["apt"] == codec.payloadType), None)
    extensions = {extension.uri: extension.id for extension in media.rtp.headerExtensions}
    sent = extensions.get(ABS_SEND_TIME)
    return MediaPlan(line, media, codec, rtx, sent if sent in range(1, 15) else None)


def _rank(codec: RTCRtpCodecParameters, order: Sequence[str]) -> tuple[int, bool]:
    """The preferred codec first; of the H.264 profiles the one that we encode exactly."""
    profile = str(codec.parameters.get("profile-level-id", CONSTRAINED_BASELINE)).lower()
    return order.index(codec.mimeType.lower()), profile != CONSTRAINED_BASELINE


def _accepted(plan: MediaPlan, agreement: Agreement, local: Local) -> str:
    line, parsed = plan.line, plan.parsed
    extensions = [one for one in parsed.rtp.headerExtensions if one.id == plan.abs_send_time]
    media = media_section(
        line.kind,
        line.mid,
        plan.codecs,
        extensions,
        local,
        role=agreement.role,
        profile=parsed.profile,
    )
    if local.candidates:
        media.host, media.port = local.candidates[0].ip, local.candidates[0].port
    if line.kind == "audio" and agreement.microphone:
        media.direction = "sendrecv"
    return f"{media}a=rtcp-mux-only\r\n"


def _refused(line: MediaLine) -> str:
    kind, _, rest = line.heading.partition(" ")
    _, _, rest = rest.partition(" ")
    return f"{kind} 0 {rest}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:{line.mid}\r\n"
