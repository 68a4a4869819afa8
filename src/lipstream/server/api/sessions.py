"""/v1/sessions: open, read the state, speak, interrupt, close."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from datetime import datetime, timedelta, timezone

from fastapi import APIRouter, Request, Response

from lipstream.config import PCM_ENCODINGS, PcmFormat
from lipstream.errors import OptionError
from lipstream.server.api.openapi import error_responses, file_form
from lipstream.server.avatars.decoders import Decoders
from lipstream.server.avatars.registry import AvatarRegistry
from lipstream.server.avatars.sandbox import SPOKEN_RATE, DecodeJob
from lipstream.server.avatars.uploads import receive_file
from lipstream.server.errors import ApiError
from lipstream.server.schemas.browser_stats import BrowserStats
from lipstream.server.schemas.sessions import (
    IceServerInfo,
    SessionInfo,
    SessionList,
    SessionRequest,
    SessionState,
    SessionSummary,
)
from lipstream.server.schemas.speech import Interrupted, Spoken
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.sessions.session import ServerSession
from lipstream.server.sessions.speak_file import speak_file

COUNTS = ("late", "repeated", "dropped", "skipped", "underruns")  # in the state of a session
PCM_FIELD = "audio_format"  # of a form with raw samples
SAMPLES = "samples"  # the decoded file, beside the upload
INTERRUPTED = "an interrupt came before this file could be spoken; send it again to speak it."


def session_routes(manager: SessionManager, registry: AvatarRegistry) -> APIRouter:
    """List sessions, open one, read its state, close it."""
    router = APIRouter(prefix="/v1/sessions", tags=["Sessions"])

    @router.get(
        "",
        summary="All sessions",
        description="For operators: a session's own token does not open it.",
        responses=error_responses(),
    )
    async def listed() -> SessionList:
        return SessionList(
            sessions=[
                SessionSummary(
                    id=session.short_id,
                    avatar=session.avatar_id,
                    state=session.state,
                    age_s=session.age_s,
                    speaking=session.live.speaking,
                    fps=round(session.fps(), 2),
                    recorded=session.outputs.recorded,
                    push=session.outputs.push_state,
                )
                for session in manager.open_sessions
            ]
        )

    @router.post(
        "",
        summary="Open a session",
        status_code=201,
        responses=error_responses(400, 403, 404, 408, 409, 413, 422, 501, 502, 503, 504),
    )
    async def open_session(body: SessionRequest, request: Request) -> SessionInfo:
        entry = await registry.ready(body.avatar)
        outputs = manager.outputs.choose(body.record, body.push, body.push_token)
        room = None if body.livekit is None else manager.rooms.address(body.livekit)
        session = manager.open(entry, motion=body.motion, replaces=body.replaces, outputs=outputs)
        if room is not None:
            await manager.rooms.join(session, room)
        return _session_info(manager, session, entry.id, request.scope.get("root_path", ""))

    @router.get(
        "/{session_id}", summary="Read the state of a session", responses=error_responses(404)
    )
    async def state(session_id: str) -> SessionState:
        session = manager.find(session_id)
        live = session.live
        return SessionState(
            state=session.state,
            speaking=live.speaking,
            buffered_ms=live.buffered_ms,
            fps=round(session.fps(), 2),
            push=session.outputs.push,
            **{name: getattr(live.counts, name) for name in COUNTS},
        )

    @router.delete(
        "/{session_id}",
        summary="Close a session",
        description="Also when there is none: closing twice is no error. Takes the short id of "
        "`GET /v1/sessions` and of the log too, with the server's token.",
        status_code=204,
        responses=error_responses(),
    )
    async def close(session_id: str) -> Response:
        await manager.close_id(session_id, "closed")
        return Response(status_code=204)

    return router


def speech_routes(manager: SessionManager, decoders: Decoders) -> APIRouter:
    """Speak a file, interrupt, report what the page measured."""
    router = APIRouter(prefix="/v1/sessions", tags=["Sessions"])

    @router.post(
        "/{session_id}/speech",
        summary="Speak an audio file",
        description="Any format that FFmpeg's libraries read. It takes its place behind all other "
        "speech when the request begins. An interrupt before the answer drops it, with 409 and the "
        "code `interrupted`.",
        status_code=202,
        response_model_exclude_none=True,
        responses=error_responses(400, 404, 408, 409, 413, 415, 422, 429, 500, 503, 507),
        openapi_extra=file_form(
            "Speech: wav, mp3, m4a, ogg, flac, or a video with sound; or raw samples.",
            audio_format=f"What raw samples are: {', '.join(PCM_ENCODINGS)}.",
            sample_rate="Of raw samples, in Hz.",
            channels="Of raw samples; 1 unless given.",
        ),
    )
    async def speak(session_id: str, request: Request) -> Spoken:
        session = manager.find_free(session_id)
        with contextlib.ExitStack() as cleanup, decoders.place():
            utterance = cleanup.enter_context(session.intake.open_upload(SPOKEN_RATE))
            upload = await receive_file(request, ("audio", "video"), unless=PCM_FIELD)
            cleanup.callback(upload.discard)
            pcm = _pcm_format(upload.fields)
            limits = manager.settings.uploads
            job = DecodeJob("speech", upload.path.name, SAMPLES, limits, pcm=pcm)
            done = await decoders.run(job, upload.folder)
            manager.find(session_id)  # it may have ended meanwhile
            if utterance.finished:
                raise ApiError(409, INTERRUPTED, "interrupted")
            session.intake.start(speak_file(utterance, upload.folder / SAMPLES, cleanup.pop_all()))
        duration_ms = done["samples"] * 1000 // SPOKEN_RATE
        return Spoken(utterance=utterance.id, duration_ms=duration_ms, warning=done["warning"])

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
        manager.metrics.seen(measured)
        return Response(status_code=204)

    return router


def _session_info(
    manager: SessionManager, session: ServerSession, avatar_id: str, root_path: str
) -> SessionInfo:
    """The answer to opening `session`, with a new token of it."""
    path = f"{root_path}/v1/sessions/{session.id}"
    until = datetime.now(timezone.utc) + timedelta(seconds=session.patience_s)
    return SessionInfo(
        id=session.id,
        avatar=avatar_id,
        token=manager.tokens.issue(session.id, avatar_id),
        whep_url=f"{path}/whep",
        audio_url=f"{path}/audio",
        events_url=f"{path}/events",
        microphone_url=f"{path}/microphone",
        speech_url=f"{path}/speech",
        say_url=f"{path}/say",
        expires_at=until.isoformat(timespec="seconds").replace("+00:00", "Z"),
        ice_servers=[
            IceServerInfo.model_validate(asdict(server))
            for server in manager.runtime.ice_servers(session.id)
        ],
        look_ahead_ms=session.live.look_ahead_ms,
        width=session.size[0],
        height=session.size[1],
        face=session.face,
        recorded=session.outputs.recorded,
    )


def _pcm_format(fields: dict[str, str]) -> PcmFormat | None:
    """The format of an upload of raw samples, by its text fields. ApiError 422 for a wrong one."""
    if PCM_FIELD not in fields:
        return None
    try:
        rate, channels = int(fields.get("sample_rate", "")), int(fields.get("channels", "1"))
    except ValueError:
        raise ApiError(
            422, "raw samples need whole numbers in the fields sample_rate and channels."
        ) from None
    try:
        return PcmFormat(fields[PCM_FIELD], rate, channels)
    except OptionError as error:
        raise ApiError(422, str(error)) from error
