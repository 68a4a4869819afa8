"""/v1/sessions: open, look at, speak through, interrupt, close."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from lipstream.server.api.openapi import error_responses, file_form
from lipstream.server.avatars.sandbox import SPOKEN_RATE, DecodeJob
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
    from lipstream.server.avatars.store import AvatarStore
    from lipstream.server.interfaces import MediaRuntime
    from lipstream.server.metrics import Metrics
    from lipstream.server.sessions.manager import SessionManager
    from lipstream.server.sessions.session import ServerSession
    from lipstream.server.settings import ServeSettings

SAMPLES = "samples"  # the decoded file, beside the upload


def session_routes(
    settings: ServeSettings,
    manager: SessionManager,
    store: AvatarStore,
    runtime: MediaRuntime,
    metrics: Metrics,
) -> APIRouter:
    """Everything at /v1/sessions but the media themselves."""
    router = APIRouter(prefix="/v1/sessions", tags=["Sessions"])
    _add_life(router, settings, manager, store, runtime)
    _add_speech(router, settings, manager, metrics)
    return router


def _add_life(
    router: APIRouter,
    settings: ServeSettings,
    manager: SessionManager,
    store: AvatarStore,
    runtime: MediaRuntime,
) -> None:
    """Open, look at, close."""

    @router.post(
        "",
        summary="Open a session",
        status_code=201,
        responses=error_responses(400, 404, 408, 409, 413, 422, 503),
    )
    async def open_session(wanted: SessionRequest, request: Request) -> SessionInfo:
        seat = manager.open(store.ready(wanted.avatar))
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
                for server in runtime.ice_servers(seat.id)
            ],
            look_ahead_ms=seat.session.look_ahead_ms,
            width=seat.size[0],
            height=seat.size[1],
        )

    @router.get("/{session_id}", summary="How it is doing", responses=error_responses(404))
    async def state(session_id: str) -> SessionState:
        return state_of(manager.find(session_id))

    @router.delete(
        "/{session_id}",
        summary="Close a session",
        description="Also when there is none: closing twice is no error.",
        status_code=204,
        responses=error_responses(),
    )
    async def close(session_id: str) -> Response:
        await manager.close_id(session_id, "closed")
        return Response(status_code=204)


def _add_speech(
    router: APIRouter, settings: ServeSettings, manager: SessionManager, metrics: Metrics
) -> None:
    """Speak a file, fall silent, tell how it went."""

    @router.post(
        "/{session_id}/speech",
        summary="Speak an audio file",
        description="Any format that FFmpeg's libraries read. It is spoken when what was sent "
        "before has been said.",
        status_code=202,
        responses=error_responses(400, 404, 408, 413, 415, 422, 429),
        openapi_extra=file_form("Speech: wav, mp3, m4a, ogg, flac, or a video with sound."),
    )
    async def speak(session_id: str, request: Request) -> Spoken:
        seat = manager.find(session_id)
        upload = await receive_file(request, ("audio", "video"))
        with discarded_on_error(upload):
            order = DecodeJob("speech", upload.path.name, SAMPLES, settings.uploads, 0)
            done = await run_isolated(order, upload.folder)
            manager.find(session_id)  # it may have ended meanwhile
            samples = upload.folder / SAMPLES
            task = seat.say(lambda session: say_file(session, samples, SPOKEN_RATE))
            task.add_done_callback(lambda _: upload.discard())
        return Spoken(duration_ms=done["samples"] * 1000 // SPOKEN_RATE)

    @router.post("/{session_id}/interrupt", summary="Fall silent", responses=error_responses(404))
    async def interrupt(session_id: str) -> Interrupted:
        return Interrupted(played_ms=manager.find(session_id).interrupt())

    @router.post(
        "/{session_id}/stats",
        summary="Tell what the page measured",
        status_code=204,
        responses=error_responses(400, 404, 408, 413, 422),
    )
    async def stats(session_id: str, measured: BrowserStats) -> Response:
        manager.find(session_id)
        metrics.seen(measured)
        return Response(status_code=204)


def state_of(seat: ServerSession) -> SessionState:
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
