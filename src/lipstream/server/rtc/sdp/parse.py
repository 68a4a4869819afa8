"""Parses SDP offers and ICE candidates, which come from strangers.

Each refusal is one sentence, and nothing is looked up, resolved or connected to.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from aiortc import RTCIceCandidate

from lipstream.server.rtc.interfaces import RestartError, SignallingError

MAX_SDP_BYTES = 64 * 1024  # of an offer or fragment; a browser's is 5 to 10 KiB
MAX_SDP_LINES = 1_000  # a browser's has 150 to 400; some parsers need quadratic time
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
DIGESTS = ("sha-256", "sha-384", "sha-512")
HEADING = re.compile(r"m=([a-z]{1,16}) \d{1,5} [A-Z/]{1,32} \S+(?: \S+)*", re.ASCII)
LOCAL_NAME = ".local"  # mDNS, which browsers use to hide addresses (RFC 8839, section 4.1)
METADATA = ipaddress.ip_address("169.254.169.254")  # where clouds keep secrets
NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class MediaLine:
    """One m= section of an offer."""

    index: int
    kind: str  # audio, video, application
    heading: str  # its m= line, without the end of line
    mid: str
    direction: str
    attributes: tuple[str, ...]  # without the leading a=


@dataclass(frozen=True, slots=True)
class OfferText:
    """An offer that has all it needs. `media` holds every m= section, in order."""

    media: tuple[MediaLine, ...]
    audio: MediaLine
    video: MediaLine
    username: str  # ICE username fragment
    password: str
    lite: bool  # the peer only answers checks (RFC 8445, section 2.5)
    candidates: tuple[RTCIceCandidate, ...]


def read_offer(text: str) -> OfferText:
    """Take an SDP offer apart. Raises SignallingError in words for the peer's developer."""
    lines = _lines(text, "offer")
    if not lines or lines[0] != "v=0":
        raise SignallingError("the offer is no SDP: it must begin with v=0.")
    session, media = _sections(lines)
    audio, video = (_only(media, kind) for kind in ("audio", "video"))
    for line in (audio, video):
        _check_line(line, session)
    _check_bundle(session, audio, video)
    username, password = (_shared(name, audio, session) for name in ("ice-ufrag", "ice-pwd"))
    candidates = tuple(_candidates(line for section in media for line in section.attributes))
    return OfferText(media, audio, video, username, password, "ice-lite" in session, candidates)


def read_fragment(text: str, username: str, password: str) -> list[RTCIceCandidate]:
    """The candidates of a `trickle-ice-sdpfrag` (RFC 8840), of whichever `a=mid`: all media share
    one transport. A user name or password other than the offer's raises RestartError."""
    lines = _lines(text, "fragment")
    if any(line[1:2] != "=" for line in lines):
        raise SignallingError("the fragment is no trickle-ice-sdpfrag: a line is not key=value.")
    attributes = [line[2:] for line in lines if line.startswith("a=")]
    new_name, new_password = (_value(attributes, name) for name in ("ice-ufrag", "ice-pwd"))
    if new_name not in (None, username) or new_password not in (None, password):
        raise RestartError("an ICE restart is not supported; delete the session and connect anew.")
    return _candidates(attributes)


def usable(candidate: RTCIceCandidate, *, private: bool) -> bool:
    """True if checks may be sent to `candidate`: without `private` only to addresses of the public
    internet, so that nobody can have this server probe networks behind it. Names are only taken in
    private networks, and only `.local`."""
    if candidate.protocol != "udp" or candidate.component != 1:
        return False
    if candidate.type not in ("host", "srflx", "relay") or not 0 < candidate.port < 65536:
        return False
    if candidate.ip.endswith(LOCAL_NAME):
        return private
    try:
        address = ipaddress.ip_address(candidate.ip)
    except ValueError:
        return False
    if address.is_multicast or address.is_unspecified or address == METADATA:
        return False
    return private or _is_public(address)


def parse_candidate(value: str) -> RTCIceCandidate:
    """The candidate after `a=candidate:` (RFC 8839, section 5.1). Raises SignallingError."""
    words = value.split()
    try:
        foundation, component, protocol, priority, host, port, typ, kind = words[:8]
        if typ != "typ":
            raise ValueError(typ)
        return RTCIceCandidate(
            int(component), foundation, host, int(port), int(priority), protocol.lower(), kind
        )
    except ValueError:
        raise SignallingError(
            "a candidate is not of the form candidate:FOUNDATION COMPONENT PROTOCOL PRIORITY "
            "ADDRESS PORT typ TYPE."
        ) from None


def _lines(text: str, what: str) -> list[str]:
    if len(text) > MAX_SDP_BYTES or len(text.encode("utf-8", "replace")) > MAX_SDP_BYTES:
        raise SignallingError(f"the {what} is longer than {MAX_SDP_BYTES // 1024} KiB.")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MAX_SDP_LINES:
        raise SignallingError(f"the {what} has more than {MAX_SDP_LINES} lines.")
    if not text.isprintable() and any(not line.isprintable() for line in lines):
        raise SignallingError(f"the {what} holds characters that cannot be printed.")
    return lines


def _sections(lines: list[str]) -> tuple[list[str], tuple[MediaLine, ...]]:
    """The session's attributes and its media."""
    starts = [place for place, line in enumerate(lines) if line.startswith("m=")]
    bounds = [0, *starts, len(lines)]
    session, *media = (lines[start:end] for start, end in pairwise(bounds))
    attributes = [line[2:] for line in session if line.startswith("a=")]
    return attributes, tuple(_media_line(*numbered) for numbered in enumerate(media))


def _media_line(index: int, lines: list[str]) -> MediaLine:
    heading = HEADING.fullmatch(lines[0])
    if heading is None:
        raise SignallingError(
            "an m= line of the offer is not of the form m=KIND PORT PROTOCOL FORMATS."
        )
    attributes = tuple(line[2:] for line in lines[1:] if line.startswith("a="))
    direction = next((name for name in DIRECTIONS if name in attributes), "sendrecv")
    mid = _value(attributes, "mid")
    if mid is None or len(mid) > 64 or not mid.isascii() or any(sign.isspace() for sign in mid):
        raise SignallingError("each m= line of the offer needs an a=mid of up to 64 letters.")
    return MediaLine(index, heading[1], lines[0], mid, direction, attributes)


def _only(media: tuple[MediaLine, ...], kind: str) -> MediaLine:
    found = [line for line in media if line.kind == kind]
    if len(found) != 1:
        raise SignallingError(
            f"the offer has {len(found) or 'no'} {kind} lines; it needs exactly one "
            "for audio and one for video."
        )
    return found[0]


def _check_line(line: MediaLine, session: Sequence[str]) -> None:
    """Check what WebRTC requires of each line."""
    if line.direction not in ("recvonly", "sendrecv"):
        raise SignallingError(f"the offer's {line.kind} is {line.direction}; offer recvonly.")
    for name, meaning in (("ice-ufrag", "ICE user name"), ("ice-pwd", "ICE password")):
        _shared(name, line, session, meaning)
    fingerprint = _shared("fingerprint", line, session, "DTLS fingerprint")
    if fingerprint.split()[0].lower() not in DIGESTS or len(fingerprint.split()) != 2:
        raise SignallingError(f"the offer's DTLS fingerprint must be one of {', '.join(DIGESTS)}.")
    if _shared("setup", line, session, "DTLS role") not in ("actpass", "active", "passive"):
        raise SignallingError("the offer's a=setup must be actpass, active or passive.")
    if "rtcp-mux" not in line.attributes:
        raise SignallingError(f"the offer's {line.kind} has no a=rtcp-mux, which is required.")


def _check_bundle(session: Sequence[str], audio: MediaLine, video: MediaLine) -> None:
    groups = [line.split()[1:] for line in session if line.startswith("group:BUNDLE")]
    if not any(audio.mid in group and video.mid in group for group in groups):
        raise SignallingError("the offer must bundle audio and video in one a=group:BUNDLE.")
    if audio.mid == video.mid:
        raise SignallingError("audio and video of the offer have the same a=mid.")


def _shared(name: str, line: MediaLine, session: Sequence[str], meaning: str = "") -> str:
    """An attribute of a line or else of the whole session."""
    value = _value(line.attributes, name) or _value(session, name)
    if not value or not value.isascii() or len(value) > 512:
        raise SignallingError(f"the offer's {line.kind} has no {meaning} (a={name}).")
    return value


def _value(attributes: Sequence[str], name: str) -> str | None:
    prefix = f"{name}:"
    found = (line[len(prefix) :].strip() for line in attributes if line.startswith(prefix))
    return next(found, None)


def _candidates(attributes: Iterable[str]) -> list[RTCIceCandidate]:
    prefix = "candidate:"
    return [parse_candidate(line[len(prefix) :]) for line in attributes if line.startswith(prefix)]


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Of the public internet, and not another way to write an address that may not be."""
    if isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address.teredo or address in NAT64
    ):
        return False
    return address.is_global
