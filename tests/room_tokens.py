"""Access tokens of LiveKit as far as they are read before a room is asked."""

from __future__ import annotations

import base64
import json
from typing import Any


def jwt(**claims: Any) -> str:
    """A token to join a room with these claims, unsigned."""
    told = {"sub": "avatar", "video": {"roomJoin": True, "room": "r"}, **claims}
    parts = ({"alg": "HS256"}, told)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*encoded, b"signature"]).decode()
