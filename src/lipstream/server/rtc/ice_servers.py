"""STUN and TURN servers, with separate credentials for each client."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass

from lipstream.server.rtc.settings import TransportSettings


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server, as `RTCPeerConnection` takes it."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


def ice_links(
    settings: TransportSettings, session_id: str, now: float | None = None
) -> list[IceServer]:
    """The servers for one client, with its credentials for those that relay: by the shared secret
    of coturn's `use-auth-secret` the name is when it expires and for whom, the credential its
    HMAC-SHA1. `now` is in seconds since 1970."""
    relays = tuple(url for url in settings.ice_servers if url.startswith(("turn:", "turns:")))
    others = tuple(url for url in settings.ice_servers if url not in relays)
    servers = [IceServer(others)] if others else []
    if relays and settings.turn_secret:
        expiry = int(time.time() if now is None else now) + settings.turn_ttl
        name = f"{expiry}:{session_id}"
        digest = hmac.new(settings.turn_secret.encode(), name.encode(), hashlib.sha1).digest()
        servers.append(IceServer(relays, name, base64.b64encode(digest).decode()))
    elif relays:
        servers.append(IceServer(relays))
    return servers


def link_headers(servers: Sequence[IceServer]) -> list[str]:
    """Values of the `Link` headers of an answer to WHEP's POST, one per address."""
    headers = []
    for server in servers:
        secret = ""
        if server.username is not None:
            secret = f'; username="{server.username}"; credential="{server.credential}"'
            secret += '; credential-type="password"'
        headers += [f'<{url}>; rel="ice-server"{secret}' for url in server.urls]
    return headers
