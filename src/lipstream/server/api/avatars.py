"""/v1/avatars: list, upload, read, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from lipstream.server.api.openapi import content, error_responses, file_form
from lipstream.server.avatars.decoders import Decoders
from lipstream.server.avatars.registry import AvatarRegistry
from lipstream.server.avatars.uploads import receive_file
from lipstream.server.schemas.avatars import AvatarInfo, AvatarList

JPEG = "image/jpeg"


def avatar_routes(registry: AvatarRegistry, decoders: Decoders) -> APIRouter:
    """Everything at /v1/avatars."""
    router = APIRouter(prefix="/v1/avatars", tags=["Avatars"])

    @router.get(
        "",
        summary="List avatars",
        description="Those given on the command line; uploads too where the server shares them "
        "(`--share-uploads`). Else an upload is for whoever knows its id.",
        responses=error_responses(),
    )
    async def listed(
        unlisted: Annotated[
            bool, Query(alias="all", description="For operators: also uploads not shared.")
        ] = False,
    ) -> AvatarList:
        return AvatarList(avatars=[entry.info() for entry in registry.list(unlisted)])

    @router.post(
        "",
        summary="Upload a picture or a clip",
        description="It is prepared in the background: ask for it until its status is `ready` or "
        "`failed`. Keep its `id`: unless the server shares uploads it is told to nobody else, and "
        "whoever knows it may use and delete the avatar.",
        status_code=202,
        responses=error_responses(400, 408, 409, 413, 415, 422, 500, 503, 507),
        openapi_extra=file_form(
            "A portrait (png, jpg, webp, heic, avif, tiff, ...) or a clip of at most a minute.",
            name="What to call it.",
            face="Which of several faces talks: `1` is the largest, `2` the next; or a place on "
            "it in pixels of the picture or of the clip's first frame, such as `320,210`.",
            rotate="Turns the picture clockwise: `90`, `180` or `270`; `auto` sets the face "
            "upright.",
            motion="The idle motion of a picture: `still`, `calm` or `lively`.",
        ),
    )
    async def upload(request: Request) -> AvatarInfo:
        with decoders.place():
            await registry.check_room()
            return (await registry.add(await receive_file(request, ("image", "video")))).info()

    @router.get("/{avatar_id}", summary="One avatar", responses=error_responses(404))
    async def one(avatar_id: str) -> AvatarInfo:
        return (await registry.find(avatar_id)).info()

    @router.get(
        "/{avatar_id}/picture",
        summary="A small picture of it",
        response_class=Response,
        responses={
            **error_responses(404, 409),
            200: content(JPEG, "The picture.", format="binary"),
        },
    )
    async def picture(avatar_id: str) -> Response:
        headers = {"Cache-Control": "private, max-age=300"}
        poster = (await registry.ready(avatar_id)).poster
        return Response(poster, media_type=JPEG, headers=headers)

    @router.delete(
        "/{avatar_id}",
        summary="Delete an uploaded avatar",
        description="Sessions that show it go on. Those of the command line stay: 409.",
        status_code=204,
        responses=error_responses(404, 409),
    )
    async def delete(avatar_id: str) -> Response:
        await registry.remove(avatar_id)
        return Response(status_code=204)

    return router
