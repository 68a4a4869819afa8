"""Signatures of the Standard Webhooks specification (https://www.standardwebhooks.com), which
receivers check with its libraries in their own language."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from lipstream.errors import OptionError

PREFIX = "whsec_"
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64  # as the specification asks


def key_of(secret: str) -> bytes:
    """The key in a secret such as whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw. OptionError for others,
    which does not repeat it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise OptionError(
            f"--webhook-secret must be {PREFIX} and {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes in "
            "base64; make one with `python -c 'import base64, secrets; "
            f'print("{PREFIX}" + base64.b64encode(secrets.token_bytes(32)).decode())\'`.'
        )
    return key


def signed_headers(key: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a webhook. `timestamp` is in seconds since 1970."""
    content = b".".join([message_id.encode(), str(timestamp).encode(), body])
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
