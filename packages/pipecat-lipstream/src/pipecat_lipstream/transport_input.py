"""The viewer's voice, from a session's microphone socket to the pipeline."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType
from pipecat.frames.frames import CancelFrame, EndFrame, InputAudioRawFrame, StartFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import TransportParams

from pipecat_lipstream.client import GOING_AWAY, LipstreamClient, LipstreamServerError

ENDED = "ended"  # the state behind the last one of the viewer
RATES = (8_000, 16_000, 24_000, 48_000)  # Hz; that a server gives


class LipstreamInputTransport(BaseInputTransport):
    """Pushes what the viewer says, and tells who comes and goes."""

    def __init__(
        self,
        client: LipstreamClient,
        params: TransportParams,
        on_viewer: Callable[[str], Awaitable[None]],
        **kwargs: Any,
    ) -> None:
        """`on_viewer` is called with each state of the viewer; in the end "lost", `ENDED`."""
        super().__init__(params, **kwargs)
        self._client, self._on_viewer = client, on_viewer
        self._listening: asyncio.Task[None] | None = None

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Open the session. Raises LipstreamServerError."""
        await super().setup(setup)
        if self.sample_rate not in RATES:
            known = ", ".join(str(rate) for rate in RATES)
            raise ValueError(f"audio_in_sample_rate {self.sample_rate} is none of {known}.")
        await self._client.open()

    async def cleanup(self) -> None:
        """End the session, if the output has not."""
        await super().cleanup()
        await self._stop_listening()
        await self._client.close()

    async def start(self, frame: StartFrame) -> None:
        """Listen from now on."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        if self._listening is None:
            self._listening = self.create_task(self._listen())

    async def stop(self, frame: EndFrame) -> None:
        """Listen no more; the output ends the session when everything was said."""
        await super().stop(frame)
        await self._stop_listening()

    async def cancel(self, frame: CancelFrame) -> None:
        """Listen no more."""
        await super().cancel(frame)
        await self._stop_listening()

    async def _stop_listening(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            await self.cancel_task(listening)

    async def _listen(self) -> None:
        """Read the socket until the session ends."""
        try:
            socket = await self._client.connect("microphone_url", self.sample_rate)
        except LipstreamServerError as error:
            await self.push_error(str(error), error, force_treat_as_permanent=True)
            return
        async with socket:
            async for message in socket:
                if message.type == WSMsgType.BINARY:
                    sound = InputAudioRawFrame(message.data, self.sample_rate, 1)
                    await self.push_audio_frame(sound)
                elif message.type == WSMsgType.TEXT:
                    told = json.loads(message.data)
                    if told.get("type") == "viewer":
                        await self._on_viewer(told["state"])
        await self._on_viewer("lost")
        await self._on_viewer(ENDED)
        if socket.close_code != GOING_AWAY:
            await self.push_error(
                f"the viewer's voice was lost: the socket closed with {socket.close_code}",
                force_treat_as_permanent=True,
            )
