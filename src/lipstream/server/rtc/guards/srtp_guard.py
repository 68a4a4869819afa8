"""Bounds what a connected viewer can make the event loop do by RTP and RTCP.

One thread serves all viewers. To parse a NACK of 1132 bytes and look up what it asks for takes 3 ms
of it; each new SSRC is a key stream for libsrtp, and statistics and a place in a table for aiortc.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Awaitable, Callable

from aiortc import RTCDtlsTransport
from aiortc.rtp import is_rtcp

from lipstream.server.rtc.guards.drop_log import DropLog
from lipstream.server.token_bucket import TokenBucket

RTCP_WORDS_PER_S, MAX_RTCP_WORDS = 1024.0, 2048  # of 32 bits; a NACK's entry is one, a PLI three
RTP_PER_S, MAX_RTP = 150.0, 600  # packets; browsers send 50 a second, which may have waited
# Raised by aiortc for packets that announce more than they hold; by itself it catches ValueError.
MALFORMED = (IndexError, struct.error, ValueError)
MAX_SSRCS = 16  # senders of a viewer; a browser has one per line


class SrtpGuard:
    """Stands between decryption and the parsers of aiortc's transport of one viewer."""

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        drops: DropLog,
        on_active: Callable[[], None],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_active` is called for each packet that the viewer has encrypted."""
        self._drops, self._on_active = drops, on_active
        self._rtcp = TokenBucket(RTCP_WORDS_PER_S, MAX_RTCP_WORDS, seconds)
        self._rtp = TokenBucket(RTP_PER_S, MAX_RTP, seconds)
        self._ssrcs: set[bytes] = set()  # of packets that could be decrypted
        self._parse_rtcp: Callable[[bytes], Awaitable[None]] = dtls._handle_rtcp_data
        self._parse_rtp: Callable[..., Awaitable[None]] = dtls._handle_rtp_data
        dtls._handle_rtcp_data = self._take_rtcp  # type: ignore[method-assign]
        dtls._handle_rtp_data = self._take_rtp  # type: ignore[method-assign]

    def admits(self, data: bytes) -> bool:
        """True for an encrypted packet whose sender may be decrypted. Strangers cannot use the
        places up: only what could be decrypted takes one."""
        if len(self._ssrcs) < MAX_SSRCS or _ssrc(data) in self._ssrcs:
            return True
        self._drops.add("ssrc", len(data))
        return False

    async def _take_rtcp(self, data: bytes) -> None:
        self._take(data)
        if not self._rtcp.take(len(data) / 4):
            self._drops.add("rtcp", len(data))
            return
        try:
            await self._parse_rtcp(data)
        except MALFORMED:
            self._drops.add("malformed", len(data))

    async def _take_rtp(self, data: bytes, arrival_time_ms: int) -> None:
        self._take(data)
        if not self._rtp.take():
            self._drops.add("rtp", len(data))
            return
        try:
            await self._parse_rtp(data, arrival_time_ms=arrival_time_ms)
        except MALFORMED:
            self._drops.add("malformed", len(data))

    def _take(self, data: bytes) -> None:
        self._ssrcs.add(_ssrc(data))
        self._on_active()


def _ssrc(data: bytes) -> bytes:
    """The sender of an RTP (RFC 3550, section 5.1) or RTCP packet (section 6.4)."""
    return data[4:8] if is_rtcp(data) else data[8:12]
