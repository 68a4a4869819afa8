"""POST /v1/engine/session, as `livekit-plugins-anam` asks Anam for an avatar in a room."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from lipstream.server.avatars.registry import AvatarRegistry
from lipstream.server.dialects.rooms.addresses import ANAM
from lipstream.server.sessions.manager import SessionManager


class Persona(BaseModel):
    """The face that is shown; its model, its notes and its language model mean nothing here."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    avatarId: Annotated[str, Field(min_length=1, max_length=128)]


class Environment(BaseModel):
    """The room."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    livekitUrl: Annotated[str, Field(min_length=1, max_length=1024, repr=False)]
    livekitToken: Annotated[str, Field(min_length=1, max_length=8000, repr=False)]


class EngineSession(BaseModel):
    """The body of the request; options of the picture, whose size is the avatar's, are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    personaConfig: Persona
    environment: Environment


def anam_routes(manager: SessionManager, registry: AvatarRegistry) -> APIRouter:
    """The one route of the dialect. Its key is the server's token, as a bearer."""
    router = APIRouter(include_in_schema=False)

    @router.post(ANAM, status_code=201)
    async def open_session(body: EngineSession) -> dict[str, str]:
        room = body.environment
        address = manager.rooms.address_by_token(room.livekitUrl, room.livekitToken)
        session = manager.open(await registry.ready(body.personaConfig.avatarId))
        await manager.rooms.join(session, address)
        return {"sessionId": session.id}

    return router
