"""The runtime of real sessions: a backend's scheduler, and WebRTC."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.config import MotionLevel, Progress
from lipstream.engine import Engine
from lipstream.errors import MissingError
from lipstream.installation import install_command
from lipstream.integrations.livekit.room_address import RoomAddress
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.session.session import Session
from lipstream.media.audio import AudioChunk
from lipstream.push.live_push import LivePush, OnLost
from lipstream.push.rtmp_push import RtmpPush
from lipstream.push.wire import PushTarget
from lipstream.server.admission import Cost, usable_cores
from lipstream.server.outputs.push_address import PushAddresses, PushRequest
from lipstream.server.outputs.whip_endpoint import WhipEndpoint
from lipstream.server.outputs.whip_push import WhipPush, publishing
from lipstream.server.rtc.connection import WebRTCTransport
from lipstream.server.rtc.encoders import nvenc_works, open_video_encoder
from lipstream.server.rtc.guards.drop_log import DropLog
from lipstream.server.rtc.ice_servers import IceServer, ice_links
from lipstream.server.rtc.interfaces import Source, SpeechSink, TransportObserver, VoiceSink
from lipstream.server.rtc.media_sender import MediaWorkers
from lipstream.server.rtc.playing_cost import playing_ms
from lipstream.server.rtc.publisher import Publisher
from lipstream.server.rtc.settings import TransportSettings
from lipstream.server.rtc.udp_ports import UdpPorts
from lipstream.server.settings import ServeSettings
from lipstream.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    from lipstream.integrations.livekit.generator import Speaker
    from lipstream.integrations.livekit.room_avatar import RoomAvatar

MAX_VIDEO_THREADS = 64
MEASURED_S = 2  # of speech
MAX_DRAWING_S = 3.0  # a backend that takes longer for it cannot talk live anyway
WARM_UP = 5  # frames at the start, in which caches are filled


class MediaRuntime:
    """Sessions of one engine, played by WebRTC: all that the server needs of both."""

    def __init__(self, engine: Engine, settings: ServeSettings) -> None:
        self.backend, self.reason = engine.backend.name, engine.backend.reason
        self.parallelism = engine.backend.parallelism
        self._engine = engine
        self._scheduler = Scheduler(engine)
        self._workers = MediaWorkers(min(settings.cores or usable_cores(), MAX_VIDEO_THREADS))
        self._drops = DropLog()
        self._push_to = PushAddresses(settings.push_to)
        self._ports = None if settings.udp_range is None else UdpPorts(settings.udp_range)
        self._room_avatar = _room_avatar() if settings.livekit else None
        self._transport = TransportSettings(
            ice_servers=(*settings.stun_urls, *settings.turn_urls),
            turn_secret=settings.turn_secret,
            public_ip=settings.public_ip,
            private=settings.private_peers,
            codec=settings.codec,
            hardware=nvenc_works(),
            connect_s=settings.connect_timeout_s,
        )

    @property
    def fault(self) -> str | None:
        """One sentence when sessions cannot be served at present. Quick; read often."""
        return self._scheduler.fault

    @property
    def restarts(self) -> int:
        """Drawing workers that died or hung and were replaced."""
        return self._engine.backend.restarts

    @property
    def nonfinite_faces(self) -> int:
        """Faces that the networks did not compute."""
        return self._engine.backend.nonfinite_faces

    @property
    def dropped_packets(self) -> Mapping[str, int]:
        """Packets from the network that were not read, by cause."""
        return self._drops.totals

    def start(self) -> None:
        """Start the scheduler's thread."""
        self._scheduler.start()

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """The avatar to use from now on. Takes long; call it in a thread."""
        return self._engine.prepare(avatar, progress)

    def measure(self, avatar: Avatar, like: Cost | None = None) -> Cost:
        """The cost of a frame. Takes up to four seconds; call it in a thread.

        What a session costs beside the drawing depends on little but the size of the picture: that
        of an avatar of the same size, `like`, saves playing one.
        """
        drawing = self._drawing_ms(avatar)
        if like is not None:
            return replace(like, drawing=drawing)
        self.start()
        settings = self._transport
        codec = settings.codec or "h264"
        encoder = open_video_encoder(codec, settings.bitrate, hardware=settings.hardware)
        sending, others = playing_ms(lambda: self.open_session(avatar), _syllables(), encoder)
        return Cost(drawing, others, sending)

    def open_session(self, avatar: Avatar, motion: MotionLevel | None = None) -> Session:
        """A session that shows a prepared avatar; `motion` None moves it as the server's others."""
        return Session(avatar, self._scheduler, motion=motion)

    def open_connection(
        self,
        source: Source,
        speech: SpeechSink,
        voice: VoiceSink,
        observer: TransportObserver,
        on_closed: Callable[[str], None],
    ) -> WebRTCTransport:
        """The connection of one viewer, who sees and hears `source` and may speak to `speech`,
        unless `voice` takes what is said."""
        return WebRTCTransport(
            source,
            self._transport,
            self._workers,
            drops=self._drops,
            ports=self._ports,
            observer=observer,
            microphone=speech,
            voice=voice,
            on_closed=on_closed,
        )

    def open_room(
        self,
        speaker: Speaker,
        size: tuple[int, int],
        address: RoomAddress,
        on_agent: Callable[[bool], None],
        on_lost: Callable[[str], None],
    ) -> RoomAvatar:
        """A participant of a LiveKit room that shows pictures of `size`, in which only the agent
        speaks; see `RoomAvatar`."""
        assert self._room_avatar is not None, "sessions join no rooms by these settings"
        return self._room_avatar(speaker, size, address, on_agent, on_lost)

    def open_push(
        self,
        target: PushRequest,
        size: tuple[int, int],
        on_lost: OnLost,
        on_connected: Callable[[], None],
    ) -> LivePush:
        """A push of pictures of `size`."""
        address = target.address
        if not address.by_whip:
            return RtmpPush(PushTarget(address.url, *size), on_lost, on_connected)
        endpoint = WhipEndpoint(address, target.token, self._push_to.allowed)
        return WhipPush(endpoint, self._open_publisher, on_lost, on_connected)

    def ice_servers(self, session_id: str) -> Sequence[IceServer]:
        """STUN and TURN servers for the viewer of a session."""
        return ice_links(self._transport, session_id)

    def _open_publisher(self, source: Source, on_closed: Callable[[str], None]) -> Publisher:
        return Publisher(
            source,
            publishing(self._transport),
            self._workers,
            drops=self._drops,
            ports=self._ports,
            on_closed=on_closed,
        )

    async def close(self) -> None:
        """Stop the scheduler and the encoders, within seconds."""
        await asyncio.to_thread(self._scheduler.close)
        await asyncio.to_thread(self._workers.close)

    def _drawing_ms(self, avatar: Avatar) -> float:
        """Milliseconds of one core for a frame with speech."""
        stream = self._engine.open_stream(avatar)
        segments = [*stream.push(_syllables()), *stream.end()]
        batch, parallelism = self._engine.backend.batch, self._engine.backend.parallelism
        spent: list[float] = []
        deadline = time.perf_counter() + MAX_DRAWING_S
        for start in range(0, len(segments), batch):
            before = time.perf_counter()
            frames = self._engine.render(segments[start : start + batch])
            spent.append(1000 * (time.perf_counter() - before) * parallelism / len(frames))
            if time.perf_counter() > deadline:
                break
        # The lower quartile: other work on the machine only ever adds to a measurement.
        rest = sorted(spent[WARM_UP:] or spent)
        return rest[len(rest) // 4]


def _room_avatar() -> type[RoomAvatar]:
    """The class behind `open_room`, loaded once and early, as that takes a second. MissingError
    without the library of LiveKit."""
    try:
        from lipstream.integrations.livekit.room_avatar import RoomAvatar
    except ImportError as error:
        raise MissingError(
            f"--livekit needs the agents of LiveKit; run `{install_command('livekit')}`."
        ) from error
    return RoomAvatar


def _syllables() -> AudioChunk:
    """Noise in the rhythm of syllables, which moves mouths."""
    times = np.arange(MEASURED_S * SAMPLE_RATE) / SAMPLE_RATE
    noise = np.random.default_rng(0).normal(0, 0.1, len(times))
    loudness = np.maximum(np.sin(2 * np.pi * 4 * times), 0)
    return AudioChunk(np.asarray(noise * loudness, np.float32), SAMPLE_RATE)
