"""Checks of addresses that come as options: a wrong one is named before the server starts."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from lipstream.errors import OptionError

PORTS = range(1, 1 << 16)
HOST = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:[0-9]{1,5})?"
ORIGIN = re.compile(f"https?://{HOST}/*")
STUN = re.compile(f"stuns?:{HOST}")  # RFC 7064
PORT_RANGE = re.compile("([0-9]{1,5})-([0-9]{1,5})")
TURN = re.compile(rf"turns?:{HOST}(\?transport=(udp|tcp))?")  # RFC 7065


def check_origin(text: str) -> None:
    """OptionError unless `text` is an origin: scheme, host, perhaps a port, and nothing more; or
    `null`, which browsers say of pages that are opened as files."""
    if text == "null":
        return
    try:
        good = ORIGIN.fullmatch(text) and urlsplit(text).port != 0
    except ValueError:  # brackets around what is no address, or a port beyond 65535
        good = False
    if not good:
        raise OptionError(f"--origin: {text!r} is no origin; write https://example.org.")


def check_public_ip(text: str) -> None:
    """OptionError unless `text` is the address of one machine."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = ipaddress.IPv4Address(0)
    if address.is_unspecified or address.is_multicast:
        raise OptionError(
            f"--public-ip: {text!r} is no IP address of a machine; write one such as 203.0.113.5."
        )


def check_stun_url(text: str) -> None:
    """OptionError unless `text` is the URL of a STUN server."""
    if not STUN.fullmatch(text):
        raise OptionError(
            f"--stun-url: {text!r} is no STUN server; write stun:stun.example.org:3478."
        )


def check_turn_url(text: str) -> None:
    """OptionError unless `text` is the URL of a TURN server."""
    if not TURN.fullmatch(text):
        raise OptionError(
            f"--turn-url: {text!r} is no TURN server; write turn:turn.example.org:3478."
        )


def port_range(text: str) -> range:
    """The ports from A to B of "A-B"; OptionError for what is no range of ports."""
    found = PORT_RANGE.fullmatch(text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (first in PORTS and last in PORTS and first <= last):
        raise OptionError(f"--udp-ports: {text!r} is no range of ports; write 40000-40999.")
    return range(first, last + 1)


def check_webhook(text: str) -> None:
    """OptionError unless `text` is a URL to which events can be posted. It is not repeated: its
    path may hold a secret."""
    import httpx  # takes longer to load than all else that the children of uploads need

    try:
        url = httpx.URL(text)  # as it is read where events are sent
        good = (
            url.scheme in ("http", "https") and url.host and (url.port is None or url.port in PORTS)
        )
    except httpx.InvalidURL:
        good = False
    if not good or not text.isascii() or not text.isprintable() or " " in text:
        raise OptionError("--webhook is no URL; write https://example.org/lipstream-events.")
