"""Picture and sound out by WHEP (draft-ietf-wish-whep-04), for our page and any standard player."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from lipstream.server.api.openapi import body, content, error_responses
from lipstream.server.avatars.registry import AvatarRegistry
from lipstream.server.errors import ApiError
from lipstream.server.rtc.ice_servers import link_headers
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.sessions.session import ServerSession

VIEWER, PLAYER = "/v1/sessions/{session_id}/whep", "/whep"
SDP, FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
OFFER = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
CANDIDATES = (
    "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
)
ACCEPTS = {"Accept-Post": SDP, "Accept-Patch": FRAGMENT}
ANSWERED = {
    **content(SDP, "The SDP answer."),
    "headers": {
        "Location": {"description": "PATCH and DELETE go here.", "schema": {"type": "string"}},
        "Link": {"description": "STUN and TURN servers.", "schema": {"type": "string"}},
    },
}
Connection = Annotated[
    int | None, Query(description="Which connection is meant, as `Location` says.", ge=0, le=2**53)
]


def whep_routes(manager: SessionManager, registry: AvatarRegistry) -> APIRouter:
    """/v1/sessions/{id}/whep and /whep?avatar=ID"""
    router = APIRouter(tags=["WHEP"])
    _add_viewer(router, manager)
    _add_player(router, manager, registry)
    for path in (VIEWER, PLAYER):
        router.add_api_route(path, _options, methods=["OPTIONS"], include_in_schema=False)
        router.add_api_route(path, _head, methods=["HEAD"], include_in_schema=False)
    return router


def _add_viewer(router: APIRouter, manager: SessionManager) -> None:
    """The offer of a viewer, the addresses it finds later, and its end."""

    @router.post(
        VIEWER,
        summary="Connect a viewer",
        description="An SDP offer with one audio and one video line. A `sendrecv` audio line "
        "brings the microphone. A second offer replaces the connection.",
        status_code=201,
        response_class=Response,
        responses={**error_responses(400, 404, 408, 409, 413, 415, 503), 201: ANSWERED},
        openapi_extra=body(SDP, OFFER),
    )
    async def connect(request: Request, session_id: str) -> Response:
        session = manager.find_free(session_id)
        return await _answered(manager, request, session, await _text_of(request, SDP))

    @router.patch(
        VIEWER,
        summary="Add addresses of the viewer",
        description="Trickle ICE. An ICE restart is refused with 422: connect anew.",
        status_code=204,
        responses=error_responses(400, 404, 408, 409, 413, 415, 422),
        openapi_extra=body(FRAGMENT, CANDIDATES),
    )
    async def trickle(request: Request, session_id: str, connection: Connection = None) -> Response:
        session = manager.find(session_id)
        fragment = await _text_of(request, FRAGMENT)
        if session.connection is None or connection not in (None, session.connection_id):
            raise ApiError(409, "this connection has ended; connect anew.", "not_connected")
        session.touch()
        await session.connection.add_candidates(fragment)
        return Response(status_code=204)

    @router.delete(
        VIEWER,
        summary="Disconnect the viewer",
        description="The session waits a while for the next one. A session that was opened with "
        "`POST /whep` ends.",
        responses={**error_responses(404, 422), 200: {"description": "Disconnected."}},
        response_class=Response,
    )
    async def disconnect(session_id: str, connection: Connection = None) -> Response:
        await manager.viewers.disconnect(manager.find(session_id), connection)
        return Response()

    @router.get(
        VIEWER,
        summary="Answer nothing, as WHEP requires",
        status_code=204,
        responses=error_responses(404),
    )
    async def nothing(session_id: str) -> Response:
        manager.find(session_id)
        return Response(status_code=204)


def _add_player(router: APIRouter, manager: SessionManager, registry: AvatarRegistry) -> None:
    """One call for players that know nothing of sessions."""

    @router.post(
        PLAYER,
        summary="Open a session and connect a viewer",
        description="The one-call form for standard players. `DELETE` at `Location` ends it.",
        status_code=201,
        response_class=Response,
        responses={**error_responses(400, 404, 408, 409, 413, 415, 422, 503), 201: ANSWERED},
        openapi_extra=body(SDP, OFFER),
    )
    async def play(
        request: Request,
        avatar: Annotated[
            str | None,
            Query(
                min_length=1,
                max_length=128,
                description="Its id; by default the first that is offered.",
            ),
        ] = None,
    ) -> Response:
        entry = await registry.ready(avatar) if avatar is not None else registry.first()
        offer = await _text_of(request, SDP)
        session = manager.open(entry, whep_only=True)
        try:
            return await _answered(manager, request, session, offer)
        except BaseException:
            await manager.close(session, "unconnected")
            raise

    @router.get(
        PLAYER,
        summary="Answer nothing, as WHEP requires",
        status_code=204,
        responses=error_responses(),
    )
    async def nothing_yet() -> Response:
        return Response(status_code=204)


async def _answered(
    manager: SessionManager, request: Request, session: ServerSession, offer: str
) -> Response:
    """The answer to an offer, with the address of its connection."""
    answer = await manager.viewers.connect(session, offer)
    root = request.scope.get("root_path", "")
    location = f"{root}/v1/sessions/{session.id}/whep?connection={session.connection_id}"
    response = Response(answer, 201, {"Location": location}, SDP)
    for link in link_headers(manager.runtime.ice_servers(session.id)):
        response.headers.append("Link", link)
    return response


async def _text_of(request: Request, media_type: str) -> str:
    """The body; ApiError 415 unless it is of that type, 400 when it is not UTF-8."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != media_type:
        raise ApiError(415, f"send it as {media_type}.", headers=ACCEPTS)
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError:
        raise ApiError(400, "the body is no UTF-8 text.", "bad_sdp") from None


async def _options() -> Response:
    return Response(headers={**ACCEPTS, "Allow": "GET, HEAD, POST, PATCH, DELETE, OPTIONS"})


async def _head() -> Response:
    return Response(media_type=SDP)
