"""The addresses of the dialect, below the one that the plugin is told."""

from __future__ import annotations

BASE = "/v1/liveavatar/sessions"
TOKEN, START, STOP, SOCKET = (f"{BASE}/{name}" for name in ("token", "start", "stop", "speech"))
SESSION = "/v1/sessions/{session_id}/liveavatar/"
# What the others stand for, once the session's token has said which one is meant.
SESSION_START, SESSION_STOP, SESSION_SOCKET = (
    SESSION + name for name in ("start", "stop", "speech")
)
LED = {START: SESSION_START, STOP: SESSION_STOP}
KEY = "x-api-key"  # the header with the server's token
