"""POST /v1/bithuman/sessions, as `livekit-plugins-bithuman` asks an endpoint of one's own."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from lipstream.server.avatars.registry import AvatarRegistry
from lipstream.server.dialects.rooms.addresses import BITHUMAN
from lipstream.server.errors import ApiError
from lipstream.server.sessions.manager import SessionManager

MAX_FIELDS = 16
PICTURES = ("avatar_image", "avatar_image_url")
NO_PICTURE = (
    "give avatar_id, the id of one of this server's avatars; a picture is uploaded to it before, "
    "with POST /v1/avatars."
)


def bithuman_routes(manager: SessionManager, registry: AvatarRegistry) -> APIRouter:
    """The one route of the dialect. Its secret is the server's token, as a bearer."""
    router = APIRouter(include_in_schema=False)

    @router.post(BITHUMAN, status_code=201)
    async def open_session(request: Request) -> dict[str, str]:
        fields = await _fields(request)
        if "avatar_id" not in fields or any(name in fields for name in PICTURES):
            raise ApiError(422, NO_PICTURE)
        url, token = fields.get("livekit_url", ""), fields.get("livekit_token", "")
        address = manager.rooms.address_by_token(url, token)
        session = manager.open(await registry.ready(fields["avatar_id"][:128]))
        await manager.rooms.join(session, address)
        return {"session_id": session.id}

    return router


async def _fields(request: Request) -> dict[str, str]:
    """The fields of the form; files count as fields without a text. ApiError 422 for no form."""
    try:
        async with request.form(max_files=1, max_fields=MAX_FIELDS) as form:
            return {name: one if isinstance(one, str) else "" for name, one in form.multi_items()}
    except HTTPException as error:
        raise ApiError(422, "this is no form, or too large a one.") from error
