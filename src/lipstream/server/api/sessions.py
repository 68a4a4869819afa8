"""/v1/sessions: open, read the state, speak, interrupt, close."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta, timezone

from fastapi import APIRouter, Request, Response

from lipstream.server.api.openapi import error_responses, file_form
from lipstream.server.avatars.sandbox import SPOKEN_RATE, DecodeJob
from lipstream.server.avatars.store import AvatarStore
from lipstream.server.avatars.uploads import receive_file, run_isolated
from lipstream.server.errors import ApiError
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.metrics import Metrics
from lipstream.server.schemas import (
    BrowserStats,
    IceServerInfo,
    Interrupted,
    SessionInfo,
    SessionRequest,
    SessionState,
    Spoken,
)
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.sessions.session import ServerSession
from lipstream.server.sessions.speak_file import speak_file
from lipstream.server.settings import ServeSettings

SAMPLES = "samples"  # the decoded file, beside the upload
INTERRUPTED = "an interrupt came before this file could be spoken; send it again to speak it."


def session_routes(
    settings: ServeSettings,
    manager: SessionManager,
    store: AvatarStore,
    runtime: MediaRuntime,
    metrics: Metrics,
) -> APIRouter:
    """The routes at /v1/sessions except those of media."""
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
    """Open a session, read its state, close it."""

    @router.post(
        "",
        summary="Open a session",
        status_code=201,
        responses=error_responses(400, 404, 408, 409, 413, 422, 503),
    )
    async def open_session(body: SessionRequest, request: Request) -> SessionInfo:
        session = manager.open(store.ready(body.avatar))
        path = f"{request.scope.get('root_path', '')}/v1/sessions/{session.id}"
        until = datetime.now(timezone.utc) + timedelta(seconds=settings.connect_timeout_s)
        return SessionInfo(
            id=session.id,
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
                for server in runtime.ice_servers(session.id)
            ],
            look_ahead_ms=session.live.look_ahead_ms,
            width=session.size[0],
            height=session.size[1],
        )

    @router.get(
        "/{session_id}", summary="Read the state of a session", responses=error_responses(404)
    )
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
    """Speak a file, interrupt, report what the page measured."""

    @router.post(
        "/{session_id}/speech",
        summary="Speak an audio file",
        description="Any format that FFmpeg's libraries read. It takes its place behind all other "
        "speech when the request begins. An interrupt before the answer drops it, with 409 and the "
        "code `interrupted`.",
        status_code=202,
        responses=error_responses(400, 404, 408, 409, 413, 415, 422, 429),
        openapi_extra=file_form("Speech: wav, mp3, m4a, ogg, flac, or a video with sound."),
    )
    async def speak(session_id: str, request: Request) -> Spoken:
        session = manager.find(session_id)
        with contextlib.ExitStack() as cleanup:
            utterance = cleanup.enter_context(session.open_upload(SPOKEN_RATE))
            upload = await receive_file(request, ("audio", "video"))
            cleanup.callback(upload.discard)
            order = DecodeJob("speech", upload.path.name, SAMPLES, settings.uploads, 0)
            done = await run_isolated(order, upload.folder)
            manager.find(session_id)  # it may have ended meanwhile
            if utterance.finished:
                raise ApiError(409, INTERRUPTED, "interrupted")
            samples = upload.folder / SAMPLES
            session.start(speak_file(utterance, samples, cleanup.pop_all()))
        duration_ms = done["samples"] * 1000 // SPOKEN_RATE
        return Spoken(utterance=utterance.id, duration_ms=duration_ms)

    @router.post(
        "/{session_id}/interrupt",
        summary="Interrupt all speech",
        description="Also what waits, and what is still being sent, uploaded or decoded.",
        responses=error_responses(404),
    )
    async def interrupt(session_id: str) -> Interrupted:
        return Interrupted(played_ms=manager.find(session_id).interrupt())

    @router.post(
        "/{session_id}/stats",
        summary="Report what the page measured",
        status_code=204,
        responses=error_responses(400, 404, 408, 413, 422),
    )
    async def stats(session_id: str, measured: BrowserStats) -> Response:
        manager.find(session_id)
        metrics.seen(measured)
        return Response(status_code=204)


def state_of(session: ServerSession) -> SessionState:
    """The state and counts of a session."""
    counts = session.live.counts
    return SessionState(
        state=session.state,
        speaking=session.live.speaking,
        buffered_ms=session.live.buffered_ms,
        fps=round(session.fps(), 2),
        late=counts.late,
        repeated=counts.repeated,
        dropped=counts.dropped,
        skipped=counts.skipped,
        underruns=counts.underruns,
    )
