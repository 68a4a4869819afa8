"""POST /v1/sessions/{id}/say: text that is spoken."""

from __future__ import annotations

from fastapi import APIRouter

from lipstream.server.api.openapi import error_responses
from lipstream.server.schemas.speech import Said, SayRequest
from lipstream.server.sessions.manager import SessionManager
from lipstream.speech.synthesis.base import Synthesizer


def say_routes(manager: SessionManager, synthesizer: Synthesizer | None) -> APIRouter:
    """Say a text, with the server's synthesizer if it has one."""
    router = APIRouter(prefix="/v1/sessions", tags=["Sessions"])

    @router.post(
        "/{session_id}/say",
        summary="Say a text",
        description="It takes its place behind all other speech at once, and is synthesized when "
        "the texts before it are. Where that fails, the WebSocket gives `failed` with the code "
        "`synthesis_failed`. 501 with the code `no_voice` where the server has none.",
        status_code=202,
        response_model_exclude_none=True,
        responses=error_responses(400, 404, 408, 409, 413, 422, 429, 501),
    )
    async def say(session_id: str, body: SayRequest) -> Said:
        intake = manager.find_free(session_id).intake
        utterance = intake.say(body.text, synthesizer, body.voice)
        assert synthesizer is not None
        return Said(utterance=utterance.id, warning=synthesizer.warning(body.text))

    return router
