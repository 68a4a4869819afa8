"""The transport over a lipstream server: the viewer watches the server, the bot sends speech.

Nothing is decoded or encoded in the bot. Speech goes to the session's socket, what becomes of it
comes back as events, and the viewer's voice comes from the session's microphone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipecat.frames.frames import ClientConnectedFrame
from pipecat.transports.base_transport import BaseTransport, TransportParams

from pipecat_lipstream.client import LipstreamClient
from pipecat_lipstream.transport_input import ENDED, LipstreamInputTransport
from pipecat_lipstream.transport_output import LipstreamOutputTransport


class LipstreamParams(TransportParams):
    """Parameters of the transport: of Pipecat's, those of sound.

    Parameters:
        audio_in_enabled: The viewer's voice goes to the pipeline; on by default.
        audio_in_sample_rate: 8000, 16000, 24000 or 48000 Hz.
        audio_out_enabled: The bot's voice goes to the avatar; on by default.
        audio_out_end_silence_secs: How long the avatar is shown after the last word, once the bot
            ends.
    """

    audio_in_enabled: bool = True
    audio_out_enabled: bool = True
    audio_out_end_silence_secs: int = 1


class LipstreamTransport(BaseTransport):
    """A session of a lipstream server as the bot's transport.

    The viewer's page is shown `session` (the element `<lipstream-avatar>` takes it as it is).

    Event handlers available:

    - on_client_connected(transport, session): The viewer sees the avatar.
    - on_client_disconnected(transport, session): The viewer is gone, and may come back within 30 s.
    - on_session_ended(transport, session): The server has ended the session; the bot can end.

    Example::

        transport = LipstreamTransport(server_url="http://127.0.0.1:8080", avatar="anna")
        session = await transport.open()  # for the viewer's page
        pipeline = Pipeline([transport.input(), stt, ..., tts, transport.output()])
    """

    def __init__(
        self,
        *,
        server_url: str,
        avatar: str | None = None,
        token: str | None = None,
        motion: str | None = None,
        session: Mapping[str, Any] | None = None,
        params: LipstreamParams | None = None,
        input_name: str | None = None,
        output_name: str | None = None,
    ) -> None:
        """Initialize the transport.

        Args:
            server_url: The server's address.
            avatar: The id of an avatar, for which a session is opened.
            token: The server's token, where it has one. It never goes to the viewer.
            motion: The idle motion of a picture: `still`, `calm` or `lively`.
            session: Instead of an avatar: what POST /v1/sessions answered to somebody else.
            params: Parameters of the transport.
            input_name: A name for the input processor.
            output_name: A name for the output processor.
        """
        super().__init__(input_name=input_name, output_name=output_name)
        self._params = params or LipstreamParams()
        self._client = LipstreamClient(
            server_url, token, avatar=avatar, motion=motion, session=session
        )
        self._input: LipstreamInputTransport | None = None
        self._output: LipstreamOutputTransport | None = None
        self._connected = False
        self._register_event_handler("on_client_connected")
        self._register_event_handler("on_client_disconnected")
        self._register_event_handler("on_session_ended")

    @property
    def session(self) -> Mapping[str, Any] | None:
        """The open session, for the viewer's page: its token opens nothing else."""
        return self._client.session

    async def open(self) -> Mapping[str, Any]:
        """Open the session before the pipeline runs, to answer the viewer's page with it.

        A viewer must connect within some seconds (its `expires_at`). Raises LipstreamServerError.
        """
        return await self._client.open()

    async def close(self) -> None:
        """End the session; for one that no pipeline came to use. May be called twice."""
        await self._client.close()

    def get_client_id(self, client: Any) -> str:
        """The id of a session, as passed to `on_client_connected`."""
        return str(client["id"])

    def input(self) -> LipstreamInputTransport:
        """The processor that gives the viewer's voice."""
        if self._input is None:
            self._input = LipstreamInputTransport(
                self._client, self._params, self._see, name=self._input_name
            )
        return self._input

    def output(self) -> LipstreamOutputTransport:
        """The processor that takes the bot's voice."""
        if self._output is None:
            self._output = LipstreamOutputTransport(
                self._client, self._params, name=self._output_name
            )
        return self._output

    async def _see(self, state: str) -> None:
        """Tell handlers of a viewer who comes or goes, and of the end."""
        if state == ENDED:
            await self._call_event_handler("on_session_ended", self._client.session)
            return
        connected = state == "connected"
        if state == "connecting" or connected == self._connected:
            return
        self._connected = connected
        event = "on_client_connected" if connected else "on_client_disconnected"
        await self._call_event_handler(event, self._client.session)
        if connected and self._input is not None:
            await self._input.push_frame(ClientConnectedFrame())
