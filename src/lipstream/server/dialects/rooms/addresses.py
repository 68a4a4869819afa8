"""The addresses of the dialects, which a front places as it does any opening of a session."""

from __future__ import annotations

ANAM = "/v1/engine/session"  # the plugin sets it
BITHUMAN = "/v1/bithuman/sessions"  # whatever the plugin is told
