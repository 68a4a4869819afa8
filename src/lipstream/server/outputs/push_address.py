"""The addresses to which sessions may be pushed.

They come from whoever opens a session, so the server connects only where its operator allowed it.
Addresses are compared as texts of a narrow form, which every parser reads alike; none is shown or
logged but for its host, as the rest may be a key.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from lipstream.errors import OptionError

MAX_URL = 2048  # characters
PORTS = {"rtmp": 1935, "rtmps": 443, "http": 80, "https": 443}
WHIP = ("http", "https")
LABEL = (
    "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # of a name; containers' have underscores
)
FORM = re.compile(
    r"(?P<scheme>rtmps?|https?)://"
    rf"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>{LABEL}(?:\.{LABEL})*))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*)"
    r"(?:\?(?P<query>[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*))?",
    re.ASCII,
)
# What servers take for the end of a segment; some decode it first, and some leave out what follows
# a semicolon: https://datatracker.ietf.org/doc/html/rfc3986#section-3.3
SEGMENT_END = re.compile(r"[/\\]|;[^/\\]*")
MAX_DECODINGS = 3  # by proxies and the server behind them


@dataclass(frozen=True, slots=True)
class PushAddress:
    """An address in parts. `url` is the whole of it."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    url: str = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> PushAddress | None:
        """The address, or None for what is none, or not surely read alike by everybody."""
        found = FORM.fullmatch(url) if len(url) <= MAX_URL else None
        if found is None:
            return None
        scheme, path = found["scheme"], found["path"] or "/"
        host, port = found["name"] or found["ipv6"], int(found["port"] or PORTS[scheme])
        if not 0 < port < 65536 or _leads_elsewhere(path):
            return None
        if found["ipv6"] is not None and not _is_ipv6(host):
            return None
        return cls(scheme, host.lower(), port, path, url)

    @property
    def by_whip(self) -> bool:
        """True for an endpoint of WHIP, else it is a server of RTMP."""
        return self.scheme in WHIP

    def begins_with(self, other: PushAddress) -> bool:
        """True for the same server, and a path that is `other`'s or below it."""
        if (self.scheme, self.host, self.port) != (other.scheme, other.host, other.port):
            return False
        folder = other.path if other.path.endswith("/") else f"{other.path}/"
        return self.path == other.path or self.path.startswith(folder)


@dataclass(frozen=True, slots=True)
class PushRequest:
    """An address to push to, and the bearer token of an endpoint of WHIP."""

    address: PushAddress
    token: str | None = field(default=None, repr=False)


class PushAddresses:
    """The beginnings that `--push-to` allows."""

    def __init__(self, beginnings: Sequence[str]) -> None:
        """OptionError for one that is no address; it is not repeated."""
        self._beginnings = [_beginning(url) for url in beginnings]

    def allowed(self, address: PushAddress) -> bool:
        """True for an address below one of them."""
        return any(address.begins_with(beginning) for beginning in self._beginnings)


def _leads_elsewhere(path: str) -> bool:
    """True for a path with a segment "." or "..", as anybody on its way may read it.

    For example /in/..%2Fother is /in/../other for whoever decodes it, and so /other.
    """
    for _ in range(MAX_DECODINGS):
        if any(segment in (".", "..") for segment in SEGMENT_END.split(path)):
            return True
        path = unquote(path)
    return False


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _beginning(url: str) -> PushAddress:
    address = PushAddress.parse(url)
    if address is None or "?" in url:
        raise OptionError(
            "--push-to is no beginning of addresses of streams; write rtmp://live.example.org/app "
            "or https://whip.example.org/."
        )
    return address
