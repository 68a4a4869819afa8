"""The address of a room: where it is, what opens it, and whom to obey in it."""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lipstream.errors import OptionError

ON_BEHALF = "lk.publish_on_behalf"
PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}
# No user, no query, and nothing that two parsers might read differently.
PLAIN = re.compile(r"[a-z]{2,5}://[A-Za-z0-9.:\[\]-]{1,300}(/[A-Za-z0-9._~/-]{0,300})?", re.ASCII)
JWT = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}", re.ASCII)
MAX_TOKEN, MAX_IDENTITY = 8_000, 256  # characters


@dataclass(frozen=True, slots=True)
class RoomAddress:
    """A room of a LiveKit server. OptionError for what can open none."""

    url: str = field(repr=False)  # may name a host that is nobody's business
    token: str = field(repr=False)  # a participant's, which says which room
    agent_identity: str  # of the participant that speaks

    @classmethod
    def by_token(cls, url: str, token: str) -> RoomAddress:
        """A room whose agent is the one for which the token says that it publishes."""
        attributes = _claims(token).get("attributes")
        agent = attributes.get(ON_BEHALF) if isinstance(attributes, dict) else None
        if not isinstance(agent, str):
            raise OptionError(f"livekit.token has no attribute {ON_BEHALF}, which names the agent.")
        return cls(url, token, agent)

    def __post_init__(self) -> None:
        _server(self.url)
        _check_token(self.token)
        if not 0 < len(self.agent_identity) <= MAX_IDENTITY or not _is_text(self.agent_identity):
            raise OptionError(
                f"livekit.agent_identity must be the agent's identity, 1 to {MAX_IDENTITY} "
                "characters."
            )


class RoomServers:
    """The LiveKit servers whose rooms may be joined."""

    def __init__(self, urls: Sequence[str]) -> None:
        """OptionError for one that is no address."""
        self._servers = frozenset(map(_server, urls))

    def __bool__(self) -> bool:
        return bool(self._servers)

    def allowed(self, address: RoomAddress) -> bool:
        """True for a room of one of them."""
        return _server(address.url) in self._servers


def _server(url: str) -> tuple[str, str, int]:
    """Scheme, host and port; OptionError for what is no address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0 or parts.scheme not in PORTS or not PLAIN.fullmatch(url):
        raise OptionError(
            "livekit.url is no address of a LiveKit server; write it as wss://host or ws://host:7880."
        )
    secure = parts.scheme in ("wss", "https")
    return "wss" if secure else "ws", host.lower(), port or PORTS[parts.scheme]


def _check_token(token: str) -> None:
    """Read what a token says; only the room can tell whether its signature is right."""
    claims = _claims(token)
    grants = claims.get("video")
    if not isinstance(grants, dict) or not grants.get("roomJoin") or not claims.get("sub"):
        raise OptionError(
            "livekit.token is no access token to join a room; make one with the grant roomJoin and "
            "an identity."
        )
    if grants.get("canPublish") is False:
        raise OptionError("livekit.token may not publish; make one with the grant canPublish.")
    expires = claims.get("exp")
    if isinstance(expires, (int, float)) and expires < time.time():
        raise OptionError("livekit.token has expired; make a new one for each session.")


def _claims(token: str) -> dict[str, Any]:
    """The claims of a JWT, unverified; empty when it is none."""
    if len(token) > MAX_TOKEN or not JWT.fullmatch(token):
        return {}
    part = token.split(".")[1]
    try:
        text = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        claims = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _is_text(text: str) -> bool:
    """False for halves of characters, as \\ud800 in JSON gives, which nobody can be sent."""
    return not any(0xD800 <= ord(character) < 0xE000 for character in text)
