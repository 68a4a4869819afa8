"""WebRTC to a server of streams: this side makes the offer, and the server answers."""

from __future__ import annotations

import asyncio
import dataclasses
import time

from aiortc import RTCCertificate

from lipstream.server.rtc.connection import WebRTCTransport
from lipstream.server.rtc.interfaces import SignallingError
from lipstream.server.rtc.sdp.answer import Agreement, agree
from lipstream.server.rtc.sdp.media_section import Local
from lipstream.server.rtc.sdp.offer import offer


class Publisher(WebRTCTransport):
    """The connection to one server that takes streams, from the offer to `close`."""

    _local: Local | None = None

    async def offer(self) -> str:
        """The SDP offer, once. Raises NoPortError."""
        certificate = await asyncio.get_running_loop().run_in_executor(
            self._workers.offers, RTCCertificate.generateCertificate
        )
        self._local = await self._open_peer(certificate)
        return offer(self._local, self._settings.codec)

    async def take(self, answer: str) -> None:
        """Connect as the answer to the offer says, and play in the background. Raises
        SignallingError."""
        assert self._local is not None
        agreement = await asyncio.get_running_loop().run_in_executor(
            self._workers.offers, self._agree, answer
        )
        self._count(agreement.text.candidates)
        self._agreement = agreement
        self._start(agreement, self._local, time.monotonic())

    def _agree(self, answer: str) -> Agreement:
        """Read the answer, in a thread. An answer holds what an offer does, and its author sends
        nothing either; but this side made the offer, so it controls ICE."""
        try:
            agreement = agree(answer, self._settings.codec, microphone=False)
        except SignallingError as error:  # which speaks of an offer
            raise SignallingError(str(error).replace("offer", "answer")) from error
        return dataclasses.replace(agreement, controlling=True)
