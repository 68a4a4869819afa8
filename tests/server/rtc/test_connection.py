"""What reaches a viewer, and what he says, over real WebRTC on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from aiortc import MediaStreamTrack
from aiortc.rtp import RtcpSrPacket
from av.audio.frame import AudioFrame

from lipstream.server.rtc.connection import WebRTCTransport
from lipstream.server.rtc.encoders import EncodedPicture, H264Encoder
from lipstream.server.rtc.interfaces import TransportObserver
from lipstream.server.rtc.media_sender import MediaWorkers
from lipstream.server.rtc.settings import TransportSettings
from tests.fakes import blank_avatar
from tests.server.app_client import until
from tests.server.fake_runtime import FakeSession
from tests.server.sources import MarkedSource
from tests.server.viewers import Viewer

if TYPE_CHECKING:
    from lipstream.server.rtc.interfaces import SpeechSink

pytestmark = pytest.mark.slow

HOME = TransportSettings()


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, 30))


class RecordingObserver(TransportObserver):
    """Keeps what a transport tells."""

    def __init__(self) -> None:
        self.keys = self.firsts = self.dropped = 0

    def encoded(self, kind: str, ms: float, key: bool) -> None:
        self.keys += key

    def first_frame(self, ms: float) -> None:
        self.firsts += 1

    def video_dropped(self) -> None:
        self.dropped += 1


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_picture_and_sound_arrive_in_step(workers: MediaWorkers, codec: str) -> None:
    source, observer = MarkedSource(first=1000), RecordingObserver()
    closed: list[str] = []
    settings = TransportSettings(codec=codec)

    async def scenario() -> Viewer:
        transport = WebRTCTransport(
            source, settings, workers, observer=observer, on_closed=closed.append
        )
        viewer = Viewer()
        await viewer.connect(transport)
        await viewer.until(35)
        await transport.close()
        await transport.close()
        await viewer.close()
        return viewer

    viewer = run(scenario())
    assert {"h264": "H264/90000", "vp8": "VP8/90000"}[codec] in viewer.answer
    check_pictures(viewer, 1000, observer)
    assert continuous(viewer)
    assert source.open == 0 and closed == []
    assert (observer.firsts, observer.keys) == (1, 1)


def check_pictures(viewer: Viewer, first: int, observer: RecordingObserver) -> None:
    """Every picture once, in order, with its own time. A machine that is too busy to encode
    leaves some out, and says so."""
    indices = [picture.index for picture in viewer.pictures]
    assert indices[0] == first
    assert indices == sorted(set(indices))
    assert indices[-1] - first + 1 - len(indices) <= observer.dropped
    assert {picture.pts - 3600 * (picture.index - first) for picture in viewer.pictures} == {0}


def continuous(viewer: Viewer) -> bool:
    """Sound without a hole, and the source's tone."""
    sound = np.concatenate([piece.samples for piece in viewer.sounds])[9600:]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    tone = np.argmax(spectrum) * 48_000 / len(sound)
    loud = [np.sqrt(np.mean(piece**2)) for piece in np.array_split(sound, len(sound) // 960)]
    steps = {b.pts - a.pts for a, b in zip(viewer.sounds, viewer.sounds[1:], strict=False)}
    return steps == {960} and abs(float(tone) - 440) < 5 and float(min(loud)) > 0.1


class SlowEncoder(H264Encoder):
    """Every picture takes most of its time."""

    def encode(self, picture: Any, pts: int, *, key: bool = False) -> EncodedPicture:
        time.sleep(0.03)
        return super().encode(picture, pts, key=key)


def test_late_pictures_do_not_part_lips_and_voice(
    workers: MediaWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the viewer is told to align by is the media's clock, however late packets leave."""
    monkeypatch.setattr(
        "lipstream.server.rtc.connection.open_video_encoder", lambda *_, **__: SlowEncoder(10**6)
    )
    told: dict[str, list[tuple[int, int]]] = {"audio": [], "video": []}

    async def scenario() -> Viewer:
        transport = WebRTCTransport(MarkedSource(), HOME, workers)
        viewer = Viewer()
        answer = await transport.accept(await viewer.offer())
        for receiver in viewer.pc.getReceivers():
            watch(receiver, told)
        await viewer.take(answer)
        await viewer.until(75)  # three seconds, of which each has a report
        await transport.close()
        await viewer.close()
        return viewer

    viewer = run(scenario())
    began = {}
    for kind, rate in (("audio", 48_000), ("video", 90_000)):
        assert len(told[kind]) >= 2
        first = first_timestamp(viewer, kind)
        moments = [
            ntp / 2**32 - ((timestamp - first) % 2**32) / rate for ntp, timestamp in told[kind]
        ]
        assert max(moments) - min(moments) < 0.02
        began[kind] = min(moments)
    assert abs(began["audio"] - began["video"]) < 0.001


def watch(receiver: Any, told: dict[str, list[tuple[int, int]]]) -> None:
    """Note the sender reports that reach an aiortc receiver."""
    handle = receiver._handle_rtcp_packet

    async def noting(packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            info = packet.sender_info
            told[receiver.track.kind].append((info.ntp_timestamp, info.rtp_timestamp))
        await handle(packet)

    receiver._handle_rtcp_packet = noting


def first_timestamp(viewer: Viewer, kind: str) -> int:
    """The RTP timestamp of unit 0, which was the first that came."""
    receiver = next(r for r in viewer.pc.getReceivers() if r.track.kind == kind)
    mapper = receiver._RTCRtpReceiver__timestamp_mapper  # type: ignore[attr-defined]
    return int(mapper._origin)


def test_key_frames_come_when_asked_for_and_not_more_often(workers: MediaWorkers) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        transport = WebRTCTransport(MarkedSource(), HOME, workers, observer=observer)
        viewer = Viewer()
        await viewer.connect(transport)
        await viewer.until(5)
        receiver = next(r for r in viewer.pc.getReceivers() if r.track.kind == "video")
        ssrc = transport._streams[1].ssrcs[0]
        for count in range(6, 56):
            await receiver._send_rtcp_pli(ssrc)
            await viewer.until(count)
        await transport.close()
        await viewer.close()

    run(scenario())
    assert 3 <= observer.keys <= 4  # in 2 s: the first, and then one each 0.8 s


class Voice(MediaStreamTrack):
    """A microphone: a second of a quiet room, then a tone, as fast as it is taken."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._next = 0
        self._noise = np.random.default_rng(2)

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(0.02)
        times = (self._next + np.arange(960)) / 48_000
        level = 8000 if self._next > 24_000 else 0
        wave = np.sin(2 * np.pi * 600 * times) * level + self._noise.normal(0, 30, 960)
        frame = AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), self._next
        self._next += 960
        return frame


def test_what_is_spoken_into_the_microphone_reaches_the_session(workers: MediaWorkers) -> None:
    session = FakeSession(blank_avatar())

    async def scenario() -> str:
        transport = WebRTCTransport(
            MarkedSource(), HOME, workers, microphone=cast("SpeechSink", session)
        )
        viewer = Viewer(microphone=Voice())
        await viewer.connect(transport)
        await until(lambda: session.pushed > 48_000)
        await transport.close()
        await viewer.close()
        return viewer.answer

    assert "a=sendrecv" in run(scenario())
    sound = np.array(session.samples) / 32768
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert abs(np.argmax(spectrum) * 48_000 / len(sound) - 600) < 10
    assert session.ends == 1
