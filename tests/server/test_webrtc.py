"""A viewer over real WebRTC on this machine: what reaches it, and what is left when it goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc import MediaStreamTrack
from aiortc.rtp import RtcpSrPacket
from av.audio.frame import AudioFrame

from lipstream.audio import AudioChunk
from lipstream.playout import ManualClock
from lipstream.server.encoders import EncodedPicture, H264Encoder
from lipstream.server.transport import NoObserver, RestartError, SignallingError
from lipstream.server.webrtc import MediaWorkers, TransportSettings, WebRTCTransport
from tests.server.offers import candidate, fragment
from tests.server.relay import Relay
from tests.server.sources import MarkedSource
from tests.server.viewers import Viewer

HOME = TransportSettings()


@pytest.fixture
def workers() -> Iterator[MediaWorkers]:
    pool = MediaWorkers()
    yield pool
    pool.close()


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, 30))


class Observer(NoObserver):
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
    source, observer = MarkedSource(first=1000), Observer()
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


def check_pictures(viewer: Viewer, first: int, observer: Observer) -> None:
    """Every picture once, in order, with its own time. A machine that is too busy to encode
    leaves some out, and says so."""
    indices = [seen.index for seen in viewer.seen]
    assert indices[0] == first
    assert indices == sorted(set(indices))
    assert indices[-1] - first + 1 - len(indices) <= observer.dropped
    assert {seen.pts - 3600 * (seen.index - first) for seen in viewer.seen} == {0}


def continuous(viewer: Viewer) -> bool:
    """Sound without a hole, and the source's tone."""
    sound = np.concatenate([heard.samples for heard in viewer.heard])[9600:]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    tone = np.argmax(spectrum) * 48_000 / len(sound)
    loud = [np.sqrt(np.mean(piece**2)) for piece in np.array_split(sound, len(sound) // 960)]
    steps = {b.pts - a.pts for a, b in zip(viewer.heard, viewer.heard[1:], strict=False)}
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
        "lipstream.server.webrtc.open_video_encoder", lambda *_, **__: SlowEncoder(10**6)
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
    observer = Observer()

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


def test_a_peer_that_hangs_up_is_noticed_at_once(workers: MediaWorkers) -> None:
    source = MarkedSource()

    async def scenario() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        transport = WebRTCTransport(source, HOME, workers, on_closed=ended.set_result)
        viewer = Viewer()
        await viewer.connect(transport)
        await viewer.until(3)
        await viewer.close()
        reason = await ended
        await transport.close()
        return reason

    assert run(scenario()) == "the peer hung up"
    assert source.open == 0


def test_a_peer_that_vanishes_is_let_go(workers: MediaWorkers) -> None:
    clock, source = ManualClock(), MarkedSource()

    async def scenario() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        transport = WebRTCTransport(source, HOME, workers, on_closed=ended.set_result, clock=clock)
        viewer, relay = Viewer(), Relay()
        offer = await relay.offer(await viewer.offer())
        await viewer.take(relay.answer(await transport.accept(offer)))
        await viewer.until(3)
        clock.advance(5900)
        await asyncio.sleep(1.6)  # long enough for a report
        clock.advance(5900)
        await asyncio.sleep(0)
        assert not ended.done()
        relay.weather.blackout = True
        await asyncio.sleep(0.1)
        clock.advance(6100)
        reason = await ended
        await viewer.close()
        relay.close()
        return reason

    assert run(scenario()) == "the peer sent no report for 6 s"
    assert source.open == 0


def test_a_peer_that_never_comes_is_not_waited_for(workers: MediaWorkers) -> None:
    clock, source = ManualClock(), MarkedSource()

    async def scenario() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        transport = WebRTCTransport(source, HOME, workers, on_closed=ended.set_result, clock=clock)
        viewer = Viewer()
        await transport.accept(await viewer.offer())  # and the answer gets lost
        await viewer.close()
        await asyncio.sleep(0.05)
        clock.advance(9_900)
        await asyncio.sleep(0)
        assert not ended.done()
        clock.advance(200)
        return await ended

    assert run(scenario()) == "the peer did not connect within 10 s"
    assert source.open == 0


@pytest.mark.parametrize("moment", ["before", "offered", "connecting"])
def test_it_can_be_closed_at_any_moment(workers: MediaWorkers, moment: str) -> None:
    source = MarkedSource()

    async def scenario() -> None:
        transport = WebRTCTransport(source, HOME, workers)
        viewer = Viewer()
        offer = await viewer.offer()
        if moment != "before":
            answer = await transport.accept(offer)
        if moment == "connecting":
            await viewer.take(answer)
            await asyncio.sleep(0.02)
        await asyncio.gather(transport.close(), transport.close())
        await viewer.close()

    run(scenario())
    assert source.open == 0


def test_a_source_that_ends_ends_the_connection(workers: MediaWorkers) -> None:
    async def scenario() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        source = MarkedSource(units=5)
        transport = WebRTCTransport(source, HOME, workers, on_closed=ended.set_result)
        viewer = Viewer()
        await viewer.connect(transport)
        reason = await ended
        await viewer.close()
        return reason

    assert run(scenario()) == "the session has ended"


def test_a_source_that_breaks_frees_its_place(
    workers: MediaWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(MarkedSource):
        def unit(self, index: int) -> Any:
            raise RuntimeError("no more")

    async def scenario() -> str:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        transport = WebRTCTransport(Broken(), HOME, workers, on_closed=ended.set_result)
        viewer = Viewer()
        await viewer.connect(transport)
        reason = await ended
        await viewer.close()
        return reason

    assert run(scenario()) == "an error of the server"
    assert "a viewer's connection failed" in caplog.text


def test_another_viewer_goes_on_where_the_first_stopped(workers: MediaWorkers) -> None:
    source = MarkedSource()

    async def scenario() -> list[list[int]]:
        shown = []
        for _ in range(2):
            transport = WebRTCTransport(source, HOME, workers)
            viewer = Viewer()
            await viewer.connect(transport)
            await viewer.until(10)
            await transport.close()
            await viewer.close()
            shown.append([seen.index for seen in viewer.seen])
        return shown

    first, second = run(scenario())
    assert first[0] == 0
    # What was sent but not decoded any more when the first viewer went is not shown again.
    assert first[-1] < second[0] <= first[-1] + 10


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


class Listener:
    def __init__(self) -> None:
        self.chunks: list[AudioChunk] = []
        self.ends = 0
        self.enough = asyncio.Event()

    def push(self, chunk: AudioChunk) -> None:
        self.chunks.append(chunk)
        if sum(map(len, self.chunks)) > 48_000:
            self.enough.set()

    def end(self) -> None:
        self.ends += 1


def test_what_is_said_into_the_microphone_is_heard(workers: MediaWorkers) -> None:
    listener = Listener()

    async def scenario() -> str:
        transport = WebRTCTransport(MarkedSource(), HOME, workers, microphone=listener)
        viewer = Viewer(microphone=Voice())
        await viewer.connect(transport)
        await listener.enough.wait()
        await transport.close()
        await viewer.close()
        return viewer.answer

    assert "a=sendrecv" in run(scenario())
    sound = np.concatenate([chunk.mono() for chunk in listener.chunks])
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert abs(np.argmax(spectrum) * 48_000 / len(sound) - 600) < 10
    assert listener.ends == 1


def test_candidates_may_come_later_and_not_without_end(workers: MediaWorkers) -> None:
    async def scenario() -> Viewer:
        transport = WebRTCTransport(MarkedSource(), HOME, workers)
        viewer = Viewer()
        with pytest.raises(SignallingError, match="follow an offer"):
            await transport.add_candidates(fragment())
        offer = await viewer.offer()
        lines = offer.split("\r\n")
        names = {line[2:] for line in lines if line.startswith("a=candidate")}
        held = [line for line in lines if not line.startswith(("a=candidate", "a=end-of"))]
        user, password = (
            next(line for line in lines if line.startswith(f"a=ice-{what}:")).split(":")[1]
            for what in ("ufrag", "pwd")
        )
        answer = await transport.accept("\r\n".join(held))
        with pytest.raises(SignallingError, match="open another"):
            await transport.accept(offer)
        with pytest.raises(RestartError):
            await transport.add_candidates(fragment())
        more = [candidate("203.0.113.9", protocol="tcp"), candidate("nobody-here.local")]
        text = fragment(*names, *more, username=user, password=password)
        await transport.add_candidates(text)
        await viewer.take(answer)
        await viewer.until(3)
        with pytest.raises(SignallingError, match="50 candidates"):
            many = [candidate(port=port) for port in range(1, 52)]
            await transport.add_candidates(fragment(*many, username=user, password=password))
        await viewer.until(6)
        await transport.close()
        await viewer.close()
        return viewer

    assert len(run(scenario()).seen) >= 6


def test_a_useless_offer_leaves_nothing(workers: MediaWorkers) -> None:
    async def scenario() -> None:
        transport = WebRTCTransport(MarkedSource(), HOME, workers)
        for text in ("", "hello", "v=0\r\n"):
            with pytest.raises(SignallingError):
                await transport.accept(text)
        await transport.close()

    run(scenario())


def test_a_machine_without_a_network_plays_to_itself(
    workers: MediaWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> str:
        transport = WebRTCTransport(MarkedSource(), HOME, workers)
        viewer = Viewer()
        offer = await viewer.offer()
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
        answer = await transport.accept(offer)
        await transport.close()
        await viewer.close()
        return answer

    assert " 127.0.0.1 " in run(scenario())


def test_this_side_is_relayed_only_when_it_must_be(workers: MediaWorkers) -> None:
    servers = ("stun:a.example", "turn:b.example")
    for relayed, urls in ((False, [["stun:a.example"]]), (True, [[one] for one in servers])):
        settings = TransportSettings(ice_servers=servers, turn_secret="x", relayed=relayed)
        transport = WebRTCTransport(MarkedSource(), settings, workers)
        assert [server.urls for server in transport._servers()] == urls


def test_the_public_address_is_the_only_one_told(workers: MediaWorkers) -> None:
    async def scenario() -> str:
        settings = TransportSettings(public_ip="203.0.113.77")
        transport = WebRTCTransport(MarkedSource(), settings, workers)
        viewer = Viewer()
        answer = await transport.accept(await viewer.offer())
        await transport.close()
        await viewer.close()
        return answer

    lines = [line for line in run(scenario()).splitlines() if line.startswith("a=candidate")]
    addresses = {line.split()[4] for line in lines}
    assert {address for address in addresses if ":" not in address} == {"203.0.113.77"}
