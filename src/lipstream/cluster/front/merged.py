"""Answers of all workers as one: sessions, avatars, places; and what only all of them can do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import httpx
from starlette.types import Receive, Scope, Send

from lipstream.cluster.front.headers import forwarded, returned
from lipstream.cluster.front.routing import AVATARS, session_in, worker_of
from lipstream.cluster.front.upstream import Upstream, no_workers
from lipstream.cluster.front.watch import LoadWatch
from lipstream.server.security.access import ADMITTED

MERGED_S = 5.0  # for all answers
MAX_ASKED = 32  # workers at once
Answers: TypeAlias = Sequence[Mapping[str, Any]]


class MergedAnswers:
    """Asks all workers, as whoever asks the front. One that does not answer is left out; a refusal
    is the answer of all."""

    def __init__(self, watch: LoadWatch, upstream: Upstream) -> None:
        self._watch, self._upstream = watch, upstream
        self._places = asyncio.Semaphore(MAX_ASKED)

    def covers(self, method: str, path: str) -> bool:
        """True for the requests that are answered here."""
        if (method, path) in MERGERS:
            return True
        session_id = session_in(path)
        short = session_id is not None and worker_of(session_id) is None
        return method == "DELETE" and short and path == f"/v1/sessions/{session_id}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request. ApiError 503 when no worker does."""
        asked = (self._ask(scope, url) for url in self._watch.urls.values())
        answers = [one for one in await asyncio.gather(*asked) if one is not None]
        if not answers:
            raise no_workers()
        first = next((one for one in answers if one.status_code >= 300), answers[0])
        body = first.content
        merge = MERGERS.get((scope["method"], scope["path"]))
        if first.status_code == 200 and merge is not None:
            body = json.dumps(merge([one.json() for one in answers])).encode()
        if first.status_code < 400:
            scope[ADMITTED] = True
        headers = [pair for pair in returned(first.headers.raw) if pair[0] != b"content-length"]
        if first.status_code != 204:
            headers.append((b"content-length", str(len(body)).encode()))
        start = {"type": "http.response.start", "status": first.status_code, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    async def _ask(self, scope: Scope, url: str) -> httpx.Response | None:
        query = scope.get("query_string", b"").decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        headers = forwarded(scope, without=(b"content-length", b"accept-encoding"))
        async with self._places:
            try:
                answer = await self._upstream.send(
                    url, scope["method"], target, headers, answer_s=MERGED_S
                )
            except httpx.TransportError:
                return None
            try:
                await answer.aread()
            except httpx.TransportError:
                return None
            finally:
                await answer.aclose()
        return answer


def _sessions(answers: Answers) -> dict[str, Any]:
    return {"sessions": [one for answer in answers for one in answer["sessions"]]}


def _avatars(answers: Answers) -> dict[str, Any]:
    """Each avatar once: as a worker has it that can show it, else as it is on its way."""
    found: dict[str, Any] = {}
    for answer in answers:
        for one in answer["avatars"]:
            if one["status"] == "ready" or one["id"] not in found:
                found[one["id"]] = one
    return {"avatars": list(found.values())}


def _config(answers: Answers) -> dict[str, Any]:
    places = sum(answer["max_sessions"] for answer in answers)
    return {**answers[0], "max_sessions": places}


MERGERS: Mapping[tuple[str, str], Callable[[Answers], dict[str, Any]]] = {
    ("GET", "/v1/sessions"): _sessions,
    ("GET", AVATARS): _avatars,
    ("GET", "/v1/config"): _config,
}
