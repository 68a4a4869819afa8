"""POST /compose/token, GET /compose/ice, and the socket that a token opens."""

from __future__ import annotations

import secrets
from typing import Any
from weakref import WeakKeyDictionary

from fastapi import APIRouter, WebSocket

from lipstream.server.avatars.registry import AvatarRegistry
from lipstream.server.dialects.simli.addresses import ICE, SESSION_SOCKET, TOKEN
from lipstream.server.dialects.simli.session_socket import SessionSocket
from lipstream.server.dialects.simli.token_request import SessionTerms, TokenRequest
from lipstream.server.errors import ApiError
from lipstream.server.security.access import bearer_protocol
from lipstream.server.sessions.manager import SessionManager
from lipstream.server.sessions.session import ServerSession

ONE_SOCKET = "this session has a socket already; ask for another token."


def simli_routes(manager: SessionManager, registry: AvatarRegistry) -> APIRouter:
    """The routes of the dialect, which `SimliCredentials` makes those of any session."""
    router = APIRouter(include_in_schema=False)
    terms: WeakKeyDictionary[ServerSession, SessionTerms] = WeakKeyDictionary()

    @router.post(TOKEN, status_code=201)
    async def open_session(body: TokenRequest) -> dict[str, Any]:
        entry = await registry.ready(body.avatar)
        session = manager.open(entry)
        terms[session] = body.terms
        token = manager.tokens.issue(session.id, entry.id)
        return {"session_token": token, "warnings": body.warnings}

    @router.get(ICE)
    async def ice_servers() -> list[dict[str, Any]]:
        return [
            {"urls": list(server.urls)}
            | ({} if server.username is None else {"username": server.username})
            | ({} if server.credential is None else {"credential": server.credential})
            for server in manager.runtime.ice_servers(secrets.token_hex(4))
        ]

    @router.websocket(SESSION_SOCKET)
    async def talk(socket: WebSocket, session_id: str) -> None:
        try:
            session = manager.find(session_id)
            if session.disconnect_socket is not None:
                raise ApiError(409, ONE_SOCKET)
        except ApiError as refusal:
            await socket.send_denial_response(refusal.response())
            return
        conversation = SessionSocket(socket, manager, session, terms.get(session, SessionTerms()))
        session.disconnect_socket = conversation.leave
        await socket.accept(subprotocol=bearer_protocol(socket.scope.get("subprotocols", ())))
        await conversation.run()

    return router
