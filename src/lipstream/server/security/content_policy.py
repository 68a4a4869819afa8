"""The Content-Security-Policy of pages: nothing but the server's own files."""

from __future__ import annotations

import base64
import hashlib
import re

CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)
INLINE = re.compile(r"<(script|style)\b[^>]*>(.+?)</\1>", re.DOTALL)


def policy_for(page: str) -> str:
    """The policy of a page with scripts and styles of its own, each allowed by its SHA-256:
    https://www.w3.org/TR/CSP3/#csp-hash-source-expression"""
    sources = {"script": ["'self'"], "style": ["'self'"]}
    for kind, content in INLINE.findall(page):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        sources[kind].append(f"'sha256-{digest}'")
    own = "; ".join(f"{kind}-src {' '.join(allowed)}" for kind, allowed in sources.items())
    return f"{CONTENT_POLICY}; {own}"
