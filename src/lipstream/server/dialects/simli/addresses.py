"""The addresses of the dialect, and what a front reads of it."""

from __future__ import annotations

from urllib.parse import parse_qs

TOKEN, ICE, SOCKET = "/compose/token", "/compose/ice", "/compose/webrtc/p2p"
KEY = b"x-simli-api-key"  # the header with the server's token
SPEAK, SILENT = "SPEAK", "SILENT"  # to clients: an utterance is heard, or was
SESSION_SOCKET = "/v1/sessions/{session_id}/simli"  # what SOCKET stands for


def session_token(query: bytes) -> str:
    """The token in the query of a socket's address; empty without one."""
    found = parse_qs(query.decode("latin-1")).get("session_token", [""])
    return found[-1]
