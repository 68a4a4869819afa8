"""The addresses of the dialect, and what a front reads of it."""

from __future__ import annotations

TOKEN, ICE, SOCKET = "/compose/token", "/compose/ice", "/compose/webrtc/p2p"
KEY = "x-simli-api-key"  # the header with the server's token
SPEAK, SILENT = "SPEAK", "SILENT"  # to clients: an utterance is heard, or was
SESSION_SOCKET = "/v1/sessions/{session_id}/simli"  # what SOCKET stands for
