"""A LiveKit server in small, as a program: real clients connect, publish, call and stream bytes.

It speaks the older signalling (`/rtc`, which clients fall back to), checks tokens, keeps rooms
apart, and forwards data. Media end in it, where they are decoded and measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from dataclasses import astuple, dataclass, field
from typing import Any

import jwt
import numpy as np
from aiohttp import WSMsgType, web
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs import HEADER_EXTENSIONS
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters
from aiortc.sdp import candidate_from_sdp
from livekit.protocol import models
from livekit.protocol import rtc as signals

from tests.integrations.livekit.room import SECRET, Heard, Seen

RELIABLE = "_reliable"
SUBSCRIBED_S = 0.3  # before it, `publish_track` has not returned and a client drops the word
# Pictures are published in several sizes at once, which needs these.
RID_EXTENSIONS = (
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
)
for number, uri in enumerate(RID_EXTENSIONS):
    if all(known.uri != uri for known in HEADER_EXTENSIONS["video"]):
        extension = RTCRtpHeaderExtensionParameters(id=10 + number, uri=uri)
        HEADER_EXTENSIONS["video"].append(extension)


@dataclass
class Participant:
    """One connection of a client, and the media that it sent."""

    info: models.ParticipantInfo
    room: str
    socket: web.WebSocketResponse
    heard: list[Heard] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.publisher, self.subscriber = RTCPeerConnection(), RTCPeerConnection()
        self.reliable = self.subscriber.createDataChannel(RELIABLE, ordered=True)
        self.lossy = self.subscriber.createDataChannel("_lossy", ordered=False, maxRetransmits=0)
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def identity(self) -> str:
        return str(self.info.identity)

    def spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def send(self, **message: Any) -> None:
        if not self.socket.closed:
            await self.socket.send_bytes(signals.SignalResponse(**message).SerializeToString())

    async def measure(self, track: MediaStreamTrack) -> None:
        """Note all that comes of a track."""
        try:
            while True:
                frame: Any = await track.recv()
                now, rtp_s = time.monotonic(), float(frame.pts * frame.time_base)
                if track.kind == "audio":
                    loudness = float(np.abs(frame.to_ndarray().astype(np.int32)).mean())
                    self.heard.append(Heard(now, rtp_s, loudness))
                else:
                    luma = float(frame.to_ndarray(format="gray").mean())
                    self.seen.append(Seen(now, rtp_s, frame.width, frame.height, luma))
        except MediaStreamError:
            pass


class MiniSfu:
    """All rooms of one server. `mute` makes it accept connections and say nothing."""

    def __init__(self) -> None:
        self.participants: list[Participant] = []
        self.mute = False

    def find(self, identity: str, room: str = "room") -> Participant:
        """The newest participant of that name."""
        return [one for one in self.participants if (one.identity, one.room) == (identity, room)][
            -1
        ]

    def here(self, room: str = "room") -> list[str]:
        """Who is in a room."""
        active = models.ParticipantInfo.State.ACTIVE
        return [p.identity for p in self.participants if p.room == room and p.info.state == active]

    async def remove(self, identity: str, room: str = "room") -> None:
        """Throw a participant out, as an operator does."""
        participant = self.find(identity, room)
        await participant.send(
            leave=signals.LeaveRequest(reason="PARTICIPANT_REMOVED", action="DISCONNECT")
        )
        await participant.socket.close()

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """One client, from its first word to its last."""
        claims = await self._claims(request)
        if claims is None:
            return web.Response(status=401, text="invalid token")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        participant = self._admit(claims, socket)
        try:
            await self._greet(participant)
            async for message in socket:
                if message.type == WSMsgType.BINARY:
                    asked = signals.SignalRequest.FromString(message.data)
                    if not await self._answer(participant, asked):
                        break
        finally:
            participant.info.state = models.ParticipantInfo.State.DISCONNECTED
            await self._tell_all(participant)
            for task in participant.tasks:
                task.cancel()
            await participant.publisher.close()
            await participant.subscriber.close()
        return socket

    async def validate(self, request: web.Request) -> web.Response:
        """Tell a client why it was not let in; the newer signalling is not spoken."""
        if not request.path.endswith("/validate"):
            return web.Response(status=404)
        known = await self._claims(request) is not None
        return web.Response(status=200 if known else 401, text="success" if known else "invalid")

    async def _claims(self, request: web.Request) -> dict[str, Any] | None:
        """The claims of a client's token; None when it is not ours."""
        if self.mute:
            await asyncio.sleep(3600)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims: dict[str, Any] = jwt.decode(
                token or request.query["access_token"], SECRET, ["HS256"]
            )
        except (jwt.InvalidTokenError, KeyError):
            return None
        return claims

    def _admit(self, claims: dict[str, Any], socket: web.WebSocketResponse) -> Participant:
        kinds = models.ParticipantInfo.Kind
        info = models.ParticipantInfo(
            sid="PA_" + uuid.uuid4().hex[:12],
            identity=claims["sub"],
            name=claims.get("name", ""),
            state=models.ParticipantInfo.State.ACTIVE,
            kind=kinds.AGENT if claims.get("kind") == "agent" else kinds.STANDARD,
            attributes=claims.get("attributes") or {},
            joined_at=int(time.time()),
            is_publisher=True,
            permission=models.ParticipantPermission(
                can_subscribe=True, can_publish=True, can_publish_data=True
            ),
        )
        participant = Participant(info, claims["video"].get("room", ""), socket)
        self.participants.append(participant)
        participant.publisher.on("track", lambda t: participant.spawn(participant.measure(t)))
        participant.publisher.on("datachannel", lambda c: self._forward_from(participant, c))
        return participant

    def _others(self, participant: Participant) -> list[Participant]:
        active = models.ParticipantInfo.State.ACTIVE
        return [
            other
            for other in self.participants
            if other is not participant
            and other.room == participant.room
            and other.info.state == active
        ]

    async def _greet(self, participant: Participant) -> None:
        join = signals.JoinResponse(
            room=models.Room(sid="RM_" + participant.room, name=participant.room),
            participant=participant.info,
            other_participants=[other.info for other in self._others(participant)],
            server_version="1.9.0",
            server_info=models.ServerInfo(version="1.9.0", protocol=15),
            subscriber_primary=False,
            ping_timeout=60,
            ping_interval=20,
            fast_publish=False,
        )
        await participant.send(join=join)
        subscriber = participant.subscriber
        await subscriber.setLocalDescription(await subscriber.createOffer())
        sdp = _one_path(subscriber.localDescription.sdp)
        offer = signals.SessionDescription(type="offer", sdp=sdp)
        await participant.send(offer=offer)
        await self._tell_all(participant)

    async def _tell_all(self, participant: Participant) -> None:
        """Tell the others of a room what has become of one."""
        for other in self._others(participant):
            await other.send(update=signals.ParticipantUpdate(participants=[participant.info]))

    async def _answer(self, participant: Participant, asked: signals.SignalRequest) -> bool:
        """Do what a client asks for; False when it leaves."""
        kind = asked.WhichOneof("message")
        if kind == "offer":
            publisher = participant.publisher
            await publisher.setRemoteDescription(RTCSessionDescription(asked.offer.sdp, "offer"))
            await publisher.setLocalDescription(await publisher.createAnswer())
            sdp, id = _one_path(publisher.localDescription.sdp), asked.offer.id
            answer = signals.SessionDescription(type="answer", sdp=sdp, id=id)
            await participant.send(answer=answer)
        elif kind == "answer":
            answered = RTCSessionDescription(asked.answer.sdp, "answer")
            await participant.subscriber.setRemoteDescription(answered)
        elif kind == "trickle":
            await _add_candidate(participant, asked.trickle)
        elif kind == "add_track":
            await self._publish(participant, asked.add_track)
        elif kind == "ping_req":
            pong = signals.Pong(
                last_ping_timestamp=asked.ping_req.timestamp, timestamp=int(time.time() * 1000)
            )
            await participant.send(pong_resp=pong)
        return bool(kind != "leave")

    async def _publish(self, participant: Participant, asked: Any) -> None:
        track = models.TrackInfo(
            sid="TR_" + uuid.uuid4().hex[:10],
            type=asked.type,
            name=asked.name,
            source=asked.source,
            width=asked.width,
            height=asked.height,
            stream=asked.stream,
        )
        participant.info.tracks.append(track)
        published = signals.TrackPublishedResponse(cid=asked.cid, track=track)
        await participant.send(track_published=published)
        await self._tell_all(participant)
        participant.spawn(_subscribed(participant, track.sid))

    def _forward_from(self, participant: Participant, channel: Any) -> None:
        """Pass on what comes by a channel of data, to those whom it names."""

        def forward(data: bytes) -> None:
            packet = models.DataPacket.FromString(data)
            packet.participant_identity = participant.identity
            named = packet.destination_identities
            for other in self._others(participant):
                if named and other.identity not in named:
                    continue
                out = other.reliable if channel.label == RELIABLE else other.lossy
                if out.readyState == "open":
                    out.send(packet.SerializeToString())

        channel.on("message", forward)


def _one_path(sdp: str) -> str:
    """Without IPv6: a client that changes its path in mid-speech tests only itself."""
    lines = sdp.splitlines(keepends=True)
    return "".join(
        line for line in lines if not (line.startswith("a=candidate") and ":" in line.split()[4])
    )


async def _subscribed(participant: Participant, sid: str) -> None:
    await asyncio.sleep(SUBSCRIBED_S)
    await participant.send(track_subscribed=signals.TrackSubscribed(track_sid=sid))


async def _add_candidate(participant: Participant, trickle: Any) -> None:
    told = json.loads(trickle.candidateInit)
    if not told.get("candidate"):
        return
    candidate = candidate_from_sdp(told["candidate"].partition(":")[2])
    if ":" in candidate.ip:
        return
    candidate.sdpMid, candidate.sdpMLineIndex = told.get("sdpMid"), told.get("sdpMLineIndex")
    publishes = trickle.target == signals.SignalTarget.PUBLISHER
    await (participant.publisher if publishes else participant.subscriber).addIceCandidate(
        candidate
    )


def _measured(sfu: MiniSfu, request: web.Request) -> web.Response:
    """All that came of a participant."""
    identity, room = request.query["identity"], request.query["room"]
    if identity not in sfu.here(room):
        return web.json_response({"here": False, "heard": [], "seen": []})
    found = sfu.find(identity, room)
    heard, seen = ([astuple(one) for one in media] for media in (found.heard, found.seen))
    attributes = dict(found.info.attributes)
    told = {"here": True, "heard": heard, "seen": seen, "attributes": attributes}
    return web.json_response(told)


async def serve() -> None:
    """Run a server on a free port, which it prints, until the input ends."""
    sfu, app = MiniSfu(), web.Application()

    async def measured(request: web.Request) -> web.Response:
        return _measured(sfu, request)

    async def remove(request: web.Request) -> web.Response:
        await sfu.remove(request.query["identity"], request.query["room"])
        return web.Response()

    async def mute(request: web.Request) -> web.Response:
        sfu.mute = True
        return web.Response()

    app.router.add_get("/rtc", sfu.connect)
    app.router.add_get("/rtc/{rest:.*}", sfu.validate)
    app.router.add_get("/measured", measured)
    app.router.add_post("/remove", remove)
    app.router.add_post("/mute", mute)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
