"""A whole agent whose face a `lipstream serve` shows: our plugin, the server and a room."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("livekit.agents", reason="scripts/install --livekit brings LiveKit")

from livekit import rtc
from livekit.agents import AgentSession, APIConnectOptions
from livekit.agents.voice.avatar import DataStreamAudioOutput
from livekit.plugins.lipstream import AvatarSession, LipstreamException

from tests.cli.serving import Serving, serving
from tests.integrations.livekit.conversation import Ledger, converse
from tests.integrations.livekit.room import KEY, SECRET, Rooms, open_rooms, token
from tests.integrations.livekit.speech import RATE, audio_frames, tone
from tests.integrations.livekit.verdict import Verdict, hold, judge

pytestmark = [pytest.mark.agents, pytest.mark.alone]

ROOT = Path(__file__).resolve().parents[3]
UTTERANCES = int(os.environ.get("LIPSTREAM_UTTERANCES", "12"))
SERVER_TOKEN = "right-token-0123"
SIDE = "256"  # pixels; larger ones cost two cores too much for a room that decodes them
IDENTITY = "lipstream-avatar-agent"
FACE = f"face={ROOT / 'examples/portrait_closed.png'}"


@dataclass
class Scene:
    """An agent in a room, and the server that shows its face there."""

    rooms: Rooms
    server: Serving
    room: rtc.Room
    session: AgentSession[None]

    def avatar(self, **options: Any) -> AvatarSession:
        given = {"avatar": "face", "server_url": self.server.url, "api_key": SERVER_TOKEN}
        return AvatarSession(**{**given, **options})

    async def show(self, avatar: AvatarSession) -> None:
        await avatar.start(
            self.session,
            self.room,
            livekit_url=self.rooms.url,
            livekit_api_key=KEY,
            livekit_api_secret=SECRET,
        )
        await self.rooms.sees(IDENTITY)

    def places(self) -> int:
        headers = {"Authorization": f"Bearer {SERVER_TOKEN}"}
        return int(self.server.get("/v1/load", **headers)[1]["sessions_max"])

    def state(self) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {SERVER_TOKEN}"}
        sessions: list[dict[str, Any]] = self.server.get("/v1/sessions", **headers)[1]["sessions"]
        return sessions


def run(
    test: Callable[[Scene], Coroutine[Any, Any, None]], patience_s: float = 90, **options: str
) -> None:
    async def scene() -> None:
        async with open_scene(options) as opened:
            await asyncio.wait_for(test(opened), patience_s)

    asyncio.run(scene())


@asynccontextmanager
async def open_scene(options: dict[str, str]) -> AsyncIterator[Scene]:
    async with open_rooms() as rooms:
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        call = ("--avatar", FACE, "--max-side", SIDE, "--token", SERVER_TOKEN)
        with serving(*call, "--livekit", rooms.url, *flags) as server:
            room, session = rtc.Room(), AgentSession[None]()
            await room.connect(rooms.url, token("agent"))
            try:
                yield Scene(rooms, server, room, session)
            finally:
                await session.aclose()
                await room.disconnect()


def test_an_agent_is_told_of_each_utterance_once_and_rightly() -> None:
    async def test(scene: Scene) -> None:
        avatar = scene.avatar()
        await scene.show(avatar)
        sink = scene.session.output.audio
        while sink.next_in_chain is not None:
            sink = sink.next_in_chain
        ledger = Ledger(sink)
        await converse(scene.session, scene.room, ledger, UTTERANCES)
        await asyncio.sleep(0.3)  # what is on its way
        came = await scene.rooms.measured(IDENTITY)
        assert came.attributes == {"lk.publish_on_behalf": "agent"}
        assert len(scene.state()) == 1
        await avatar.aclose()
        await scene.rooms.left(IDENTITY)
        assert scene.state() == []
        verdicts.append(judge(ledger.said, came))

    def converse_once() -> Verdict:
        run(test, 60 + 8 * UTTERANCES)
        return verdicts[-1]

    verdicts: list[Verdict] = []
    hold(converse_once)


async def post(scene: Scene, **room: str) -> tuple[int, Any]:
    """Ask the server for a session in a room."""
    told = {"url": scene.rooms.url, "token": token(IDENTITY), "agent_identity": "agent", **room}
    headers = {"Authorization": f"Bearer {SERVER_TOKEN}"}
    body = {"avatar": "face", "livekit": told}
    return await asyncio.to_thread(scene.server.get, "/v1/sessions", body, **headers)


async def until_over(scene: Scene) -> None:
    """Return once the server has no session."""
    while await asyncio.to_thread(scene.state):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


def test_a_room_that_is_lost_ends_the_session_and_the_server_goes_on() -> None:
    """Thrown out, refused, or not answered at all: no session and no secret is left behind."""
    foreign = token(IDENTITY, secret="of-another-server-0123456789-abcd")

    async def test(scene: Scene) -> None:
        avatar = scene.avatar()
        await scene.show(avatar)
        await scene.rooms.remove(IDENTITY)
        await until_over(scene)
        status, told = await post(scene, token=foreign)
        assert (status, told["error"]["code"]) == (422, "room_refused")
        await scene.rooms.fall_silent()
        status, told = await post(scene)
        assert (status, told["error"]["code"]) == (504, "room_silent")
        assert "within 8 s" in told["error"]["message"] and scene.state() == []
        await avatar.aclose()
        code, said = await asyncio.to_thread(scene.server.end, signal.SIGTERM)
        assert code == 0, said
        assert "reason=left" in said and "Traceback" not in said and "panicked" not in said
        for secret in (foreign, token(IDENTITY)[:60], SECRET, SERVER_TOKEN):
            assert secret not in said and secret not in str(told)

    run(test)


def test_agents_of_one_name_in_two_rooms_are_told_apart() -> None:
    async def test(scene: Scene) -> None:
        other, sinks = rtc.Room(), {}
        await other.connect(scene.rooms.url, token("agent", "other"))
        for name, room in (("room", scene.room), ("other", other)):
            status, _ = await post(scene, token=token(f"avatar-{name}", name))
            assert status == 201
            await scene.rooms.sees(f"avatar-{name}", name)
            sinks[name] = sink_in(room, f"avatar-{name}")
        for sink in sinks.values():
            await say(sink, 2.0)
        await asyncio.sleep(0.8)
        sinks["room"].clear_buffer()
        cut = await sinks["room"].wait_for_playout()
        whole = await sinks["other"].wait_for_playout()
        assert cut.interrupted and cut.playback_position < 1.8
        assert not whole.interrupted and whole.playback_position == pytest.approx(2.0, abs=0.04)
        await other.disconnect()

    run(test)


def sink_in(room: rtc.Room, avatar: str = IDENTITY) -> DataStreamAudioOutput:
    """The end of an agent's chain of sound, as the plugin makes it. It finds its room by the name
    of the avatar, so that two in one process need two names."""
    return DataStreamAudioOutput(
        room, destination_identity=avatar, sample_rate=RATE, wait_playback_start=True
    )


async def say(sink: DataStreamAudioOutput, seconds: float) -> None:
    """Push a whole segment."""
    for frame in audio_frames(tone(seconds)):
        await sink.capture_frame(frame)
    sink.flush()


def test_segments_pushed_back_to_back_are_told_of_one_by_one() -> None:
    """Below the agent, which waits for the end of each: pairs, the second of a single frame."""

    async def test(scene: Scene) -> None:
        avatar = scene.avatar()
        await scene.show(avatar)
        sink, told = sink_in(scene.room), list[tuple[float, bool]]()
        sink.on(
            "playback_finished",
            lambda event: told.append((round(event.playback_position, 2), event.interrupted)),
        )
        for seconds in (0.6, 0.05, 0.3):
            await say(sink, seconds)
        await sink.wait_for_playout()
        assert told == [(0.6, False), (0.05, False), (0.3, False)]
        for seconds in (1.5, 0.5, 0.5):
            await say(sink, seconds)
        await asyncio.sleep(0.5)
        sink.clear_buffer()
        await sink.wait_for_playout()
        assert told[3][1] and 0 < told[3][0] < 1.0 and told[4:] == [(0.0, True)] * 2
        await avatar.aclose()

    run(test)


def test_a_server_that_stops_lets_the_agent_finish() -> None:
    async def test(scene: Scene) -> None:
        avatar = scene.avatar()
        await scene.show(avatar)
        sink = sink_in(scene.room)
        await say(sink, 2.0)
        await asyncio.sleep(0.6)
        ending = asyncio.create_task(asyncio.to_thread(scene.server.end, signal.SIGTERM))
        whole = await sink.wait_for_playout()
        assert not whole.interrupted and whole.playback_position == pytest.approx(2.0, abs=0.04)
        code, said = await ending
        assert code == 0 and "reason=stopped" in said, said
        await avatar.aclose()

    run(test)


def test_a_front_places_rooms_as_any_session() -> None:
    async def test(scene: Scene) -> None:
        while await asyncio.to_thread(scene.places) < 2:  # noqa: ASYNC110 (workers start in turn)
            await asyncio.sleep(0.1)
        for room in ("one", "two"):
            status, _ = await post(scene, token=token(IDENTITY, room))
            assert status == 201
        status, told = await post(scene, token=token(IDENTITY, "three"))
        assert (status, told["error"]["code"]) == (503, "full")
        await scene.rooms.remove(IDENTITY, "one")
        while len(await asyncio.to_thread(scene.state)) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert await scene.rooms.is_here(IDENTITY, "two")

    run(test, 90, **{"workers": "2", "max-sessions": "2"})


def test_what_is_wrong_is_one_sentence() -> None:
    async def test(scene: Scene) -> None:
        for options, sentence in (
            ({"avatar": "nobody"}, r"refuses \(404\): this avatar does not exist"),
            ({"api_key": "wrong-token-0123"}, r"refuses \(401\): "),
            ({"server_url": "http://127.0.0.1:1"}, r"127\.0\.0\.1:1 cannot be reached: Cannot"),
        ):
            avatar = scene.avatar(conn_options=APIConnectOptions(max_retry=0), **options)
            with pytest.raises(LipstreamException, match=sentence) as told:
                await scene.show(avatar)
            assert SECRET not in str(told.value) and "wrong-token" not in str(told.value)
        assert scene.state() == []

    run(test)
