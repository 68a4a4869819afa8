"""The headers of a request on its way to a worker, and of the answer on its way back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from starlette.types import Scope

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(  # of one connection alone (RFC 9110, section 7.6.1)
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer "
    b"transfer-encoding upgrade".split()
)
# `forwarded` would be an untrusted twin of what we say; 100 (Continue) is answered here.
NOT_FORWARDED = HOP_BY_HOP | {b"expect", b"forwarded", b"x-forwarded-for", b"x-forwarded-proto"}
NOT_RETURNED = HOP_BY_HOP | {b"date"}  # of which each answer has one of the front's own server


def forwarded(scope: Scope, *, without: Iterable[bytes] = ()) -> RawHeaders:
    """The client's headers, Host too, and who it is: a worker trusts its front for that alone."""
    dropped = NOT_FORWARDED | _listed(scope["headers"]) | frozenset(without)
    kept = [(name, value) for name, value in scope["headers"] if name not in dropped]
    client = str((scope.get("client") or ("",))[0])
    secure = scope.get("scheme") in ("https", "wss")
    said = [(b"x-forwarded-proto", b"https" if secure else b"http")]
    if client:
        said.append((b"x-forwarded-for", client.encode("latin-1")))
    return kept + said


def framed(scope: Scope, headers: RawHeaders) -> RawHeaders:
    """`headers` with the framing of a body that is passed on as it comes."""
    names = {name for name, _ in scope["headers"]}
    if b"transfer-encoding" in names:  # what a length says beside it is not believed
        plain = [(name, value) for name, value in headers if name != b"content-length"]
        return [*plain, (b"transfer-encoding", b"chunked")]
    return headers


def returned(headers: RawHeaders) -> RawHeaders:
    """The worker's headers without those of its connection."""
    lower = [(name.lower(), value) for name, value in headers]
    dropped = NOT_RETURNED | _listed(lower)
    return [(name, value) for name, value in lower if name not in dropped]


def _listed(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The names that `Connection` lists: they are of this connection alone, too."""
    said = b",".join(value for name, value in headers if name == b"connection")
    names = frozenset(name.strip().lower() for name in said.split(b","))
    return names - {b"host", b"authorization", b"content-length", b"content-type"}
