"""/v1/sessions: open, look at, speak through, interrupt, close."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from lipstream.server.api.openapi import file_form, refusals
from lipstream.server.avatars.sandbox import SPOKEN_RATE, Order
from lipstream.server.avatars.uploads import discarded_on_error, receive_file, run_isolated
from lipstream.server.schemas import (
    BrowserStats,
    IceServerInfo,
    Interrupted,
    SessionInfo,
    SessionRequest,
    SessionState,
    Spoken,
)
from lipstream.server.sessions.speak_file import say_file

if TYPE_CHECKING:
    from lipstream.server.avatars.store import Shelf
    from lipstream.server.interfaces import Stage
    from lipstream.server.metrics import Telemetry
    from lipstream.server.sessions.manager import Lobby
    from lipstream.server.sessions.session import Seat
    from lipstream.server.settings import ServeSettings

SAMPLES = "samples"  # the decoded file, beside the upload


def session_routes(
    settings: ServeSettings, lobby: Lobby, shelf: Shelf, stage: Stage, telemetry: Telemetry
) -> APIRouter:
    """Everything at /v1/sessions but the media themselves."""
    router = APIRouter(prefix="/v1/sessions", tags=["Sessions"])
    _add_life(router, settings, lobby, shelf, stage)
    _add_speech(router, settings, lobby, telemetry)
    return router


def _add_life(
    router: APIRouter, settings: ServeSettings, lobby: Lobby, shelf: Shelf, stage: Stage
) -> None:
    """Open, look at, close."""

    @router.post(
        "",
        summary="Open a session",
        status_code=201,
        responses=refusals(400, 404, 408, 409, 413, 422, 503),
    )
    async def open_session(wanted: SessionRequest, request: Request) -> SessionInfo:
        seat = lobby.open(shelf.ready(wanted.avatar))
        path = f"{request.scope.get('root_path', '')}/v1/sessions/{seat.id}"
        until = datetime.now(timezone.utc) + timedelta(seconds=settings.connect_timeout_s)
        return SessionInfo(
            id=seat.id,
            whep_url=f"{path}/whep",
            audio_url=f"{path}/audio",
            speech_url=f"{path}/speech",
            expires_at=until.isoformat(timespec="seconds").replace("+00:00", "Z"),
            ice_servers=[
                IceServerInfo(
                    urls=list(server.urls),
                    username=server.username,
                    credential=server.credential,
                )
                for server in stage.ice_servers(seat.id)
            ],
            look_ahead_ms=seat.session.look_ahead_ms,
            width=seat.size[0],
            height=seat.size[1],
        )

    @router.get("/{session_id}", summary="How it is doing", responses=refusals(404))
    async def state(session_id: str) -> SessionState:
        return state_of(lobby.find(session_id))

    @router.delete(
        "/{session_id}",
        summary="Close a session",
        description="Also when there is none: closing twice is no error.",
        status_code=204,
        responses=refusals(),
    )
    async def close(session_id: str) -> Response:
        await lobby.close_id(session_id, "closed")
        return Response(status_code=204)


def _add_speech(
    router: APIRouter, settings: ServeSettings, lobby: Lobby, telemetry: Telemetry
) -> None:
    """Speak a file, fall silent, tell how it went."""

    @router.post(
        "/{session_id}/speech",
        summary="Speak an audio file",
        description="Any format that FFmpeg's libraries read. It is spoken when what was sent "
        "before has been said.",
        status_code=202,
        responses=refusals(400, 404, 408, 413, 415, 422, 429),
        openapi_extra=file_form("Speech: wav, mp3, m4a, ogg, flac, or a video with sound."),
    )
    async def speak(session_id: str, request: Request) -> Spoken:
        seat = lobby.find(session_id)
        upload = await receive_file(request, ("audio", "video"))
        with discarded_on_error(upload):
            order = Order("speech", upload.path.name, SAMPLES, settings.uploads, 0)
            done = await run_isolated(order, upload.folder)
            lobby.find(session_id)  # it may have ended meanwhile
            samples = upload.folder / SAMPLES
            task = seat.say(lambda session: say_file(session, samples, SPOKEN_RATE))
            task.add_done_callback(lambda _: upload.discard())
        return Spoken(duration_ms=done["samples"] * 1000 // SPOKEN_RATE)

    @router.post("/{session_id}/interrupt", summary="Fall silent", responses=refusals(404))
    async def interrupt(session_id: str) -> Interrupted:
        return Interrupted(played_ms=lobby.find(session_id).interrupt())

    @router.post(
        "/{session_id}/stats",
        summary="Tell what the page measured",
        status_code=204,
        responses=refusals(400, 404, 408, 413, 422),
    )
    async def stats(session_id: str, measured: BrowserStats) -> Response:
        lobby.find(session_id)
        telemetry.seen(measured)
        return Response(status_code=204)


def state_of(seat: Seat) -> SessionState:
    """The live figures of a session."""
    counts = seat.session.counts
    return SessionState(
        state=seat.state,
        speaking=seat.speaking,
        buffered_ms=seat.session.buffered_ms,
        fps=round(seat.fps(), 2),
        late=counts.late,
        repeated=counts.repeated,
        dropped=counts.dropped,
        skipped=counts.skipped,
        underruns=counts.underruns,
    )
