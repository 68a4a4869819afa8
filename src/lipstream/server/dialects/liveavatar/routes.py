"""POST .../token, .../start and .../stop, and the socket that speaks."""

from __future__ import annotations

from typing import Annotated, Any
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Request, WebSocket
from pydantic import BaseModel, ConfigDict, Field

from lipstream.integrations.livekit.room_address import RoomAddress
from lipstream.server.avatars.registry import AvatarRegistry
from lipstream.server.dialects.credentials import bearer_of
from lipstream.server.dialects.liveavatar.addresses import (
    SESSION_SOCKET,
    SESSION_START,
    SESSION_STOP,
    SOCKET,
    TOKEN,
)
from lipstream.server.dialects.liveavatar.speech_socket import SpeechSocket
from lipstream.server.errors import ApiError
from lipstream.server.security.access import bearer_protocol
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.sessions.session import ServerSession

DONE = 100  # the code of what went well
NO_START = "this session is not one that waits for its start; ask for another token."
OWN_TOKEN = "start and speak with the session's own token, which .../token has told."
ONE_SOCKET = "this session is not shown in a room yet, or has a socket already."


class Room(BaseModel):
    """The room, and what opens it."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    livekit_url: Annotated[str, Field(min_length=1, max_length=1024, repr=False)]
    livekit_client_token: Annotated[str, Field(min_length=1, max_length=8000, repr=False)]


class TokenRequest(BaseModel):
    """The body of `POST .../token`; quality and sandbox mean nothing here."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    avatar_id: Annotated[str, Field(min_length=1, max_length=128)]
    livekit_config: Room


def liveavatar_routes(manager: SessionManager, registry: AvatarRegistry) -> APIRouter:
    """The routes of the dialect, which `LiveAvatarCredentials` makes those of any session."""
    router = APIRouter(include_in_schema=False)
    waiting: WeakKeyDictionary[ServerSession, RoomAddress] = WeakKeyDictionary()

    @router.post(TOKEN, status_code=201)
    async def open_session(body: TokenRequest) -> dict[str, Any]:
        room = body.livekit_config
        address = manager.rooms.address_by_token(room.livekit_url, room.livekit_client_token)
        entry = await registry.ready(body.avatar_id)
        session = manager.open(entry)
        waiting[session] = address
        token = manager.tokens.issue(session.id, entry.id)
        return _done(session_id=session.id, session_token=token)

    @router.post(SESSION_START)
    async def start(session_id: str, request: Request) -> dict[str, Any]:
        session = manager.find(session_id)
        token = bearer_of(request.headers)
        if (grant := manager.tokens.find(token)) is None or grant.session_id != session.id:
            raise ApiError(409, OWN_TOKEN)
        address = waiting.pop(session, None)
        if address is None:
            raise ApiError(409, NO_START)
        await manager.rooms.join(session, address)
        base = str(request.base_url).replace("http", "ws", 1).rstrip("/")
        return _done(ws_url=f"{base}{SOCKET}?session_token={token}")

    @router.post(SESSION_STOP)
    async def stop(session_id: str) -> dict[str, Any]:
        await manager.close_id(session_id, "closed")
        return _done()

    @router.websocket(SESSION_SOCKET)
    async def speak(socket: WebSocket, session_id: str) -> None:
        try:
            session = manager.find(session_id)
            if session.room is None or session.disconnect_socket is not None:
                raise ApiError(409, ONE_SOCKET)
        except ApiError as refusal:
            await socket.send_denial_response(refusal.response())
            return
        speech = SpeechSocket(socket, session)
        session.disconnect_socket = speech.leave
        try:
            await socket.accept(subprotocol=bearer_protocol(socket.scope.get("subprotocols", ())))
            await speech.talk()
        finally:
            session.disconnect_socket = None

    return router


def _done(**data: str) -> dict[str, Any]:
    return {"code": DONE, "data": data, "message": "done"}
