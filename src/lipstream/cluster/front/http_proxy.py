"""One HTTP request, passed on to the worker that it is for and answered by it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable

import httpx
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from lipstream.cluster.front.headers import RawHeaders, forwarded, framed, returned
from lipstream.cluster.front.metrics import FrontMetrics
from lipstream.cluster.front.routing import (
    AVATARS,
    opens_session,
    replaced_session,
    session_in,
    worker_of,
    worker_of_token,
)
from lipstream.cluster.front.upstream import (
    ANSWER_S,
    NOTHING_SENT,
    UPLOAD_S,
    ClientGoneError,
    RequestBody,
    Upstream,
    is_refused,
    no_room,
    no_workers,
    whole_body,
    worker_gone,
    worker_unreachable,
)
from lipstream.cluster.front.watch import LoadWatch
from lipstream.server.errors import ApiError
from lipstream.server.security.access import ADMITTED
from lipstream.server.security.middleware import MAX_BODY_BYTES
from lipstream.server.security.rate_limit import MeteredBody, too_large

REPEATABLE = ("GET", "HEAD", "OPTIONS")  # may be asked of a second worker whatever happened
REFUSED = (401, 403, 429)  # the request did not pass the worker's rules of access
OPEN_S = 20.0  # in which workers are asked for room
FRESH_MS = 2_000  # to wait for new loads before a session is refused
FRAMES = (b"content-length", b"transfer-encoding")  # headers that frame a body
UPLOADS = (AVATARS, "/speech")  # paths with these ends take files

log = logging.getLogger("lipstream.cluster")


class HttpProxy:
    """Passes requests on. Bodies and answers go through piece by piece."""

    def __init__(
        self, watch: LoadWatch, upstream: Upstream, metrics: FrontMetrics, max_upload: int
    ) -> None:
        """`max_upload`: bytes of a request with a file; the workers have the same limit."""
        self._watch, self._upstream, self._metrics = watch, upstream, metrics
        self._max_upload = max_upload
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request. Raises ApiError where no worker's answer has begun."""
        method, path = scope["method"], scope["path"]
        upload = method == "POST" and path.endswith(UPLOADS)
        receive = self._metered(scope, receive, self._max_upload if upload else MAX_BODY_BYTES)
        began = time.monotonic()
        try:
            if opens_session(method, path):
                answer = await self._open(scope, await whole_body(receive))
            elif (pinned := self._pin(scope)) is not None:
                answer = await self._ask_pinned(scope, receive, pinned, upload=upload)
            else:
                answer = await self._ask_any(scope, receive, upload=upload)
        except ClientGoneError:
            return
        self._metrics.answer_ms.observe(1000 * (time.monotonic() - began))
        self._metrics.answers.labels(str(answer.status_code)).inc()
        await _return(scope, answer, send)

    def _metered(self, scope: Scope, receive: Receive, limit: int) -> Receive:
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > limit:
            raise too_large(limit)
        return MeteredBody(receive, limit)

    def _pin(self, scope: Scope) -> str | None:
        """The one worker that can answer; None where any may."""
        if (session_id := session_in(scope["path"])) is not None:
            return worker_of(session_id)
        authorization = Headers(scope=scope).get("authorization", "")
        worker = worker_of_token(scope["path"], authorization)
        return worker if worker in self._watch.urls else None

    async def _ask_pinned(
        self, scope: Scope, receive: Receive, worker: str, *, upload: bool
    ) -> httpx.Response:
        url = self.url_of(worker)
        try:
            return await self._send(url, scope, RequestBody(receive), upload=upload)
        except httpx.TransportError as error:
            raise await self.lost(worker, error) from error

    def url_of(self, worker: str) -> str:
        """The address of a session's worker. ApiError 404 when it is gone, 503 when that is not
        known yet."""
        url = self._watch.urls.get(worker)
        if url is None:
            raise worker_gone() if self._watch.looked else no_workers()
        return url

    async def lost(self, worker: str, error: Exception) -> ApiError:
        """The refusal of a request that could not be delivered to a session's worker. A connection
        that broke off says less than a new one that is refused: then its process is gone."""
        self._watch.lost(worker)
        if not is_refused(error) and (url := self._watch.urls.get(worker)) is not None:
            try:
                await self._upstream.read_json(url, "/healthz", None)
            except httpx.TransportError as second:
                error = second
            except ValueError:  # it answers, if not well
                pass
        log.info("worker lost", extra={"worker": worker, "reason": type(error).__name__})
        return worker_gone() if is_refused(error) else worker_unreachable()

    async def _ask_any(self, scope: Scope, receive: Receive, *, upload: bool) -> httpx.Response:
        """Ask the least used worker, and others where it cannot be reached, or does not know an
        avatar, or not now, that another may have. A body can be sent only once."""
        workers = self._watch.placement.any_order() or list(self._watch.urls)
        framing = {name for name, _ in scope["headers"]}
        whole = not framing & {b"content-length", b"transfer-encoding"}
        body: bytes | RequestBody = b"" if whole else RequestBody(receive)
        repeatable = whole and scope["method"] in REPEATABLE
        avatar = whole and scope["path"].startswith(f"{AVATARS}/")
        missing: httpx.Response | None = None
        for worker in workers:
            url = self._watch.urls.get(worker)
            if url is None:  # gone meanwhile
                continue
            try:
                answer = await self._send(url, scope, body, upload=upload)
            except httpx.TransportError as error:
                self._watch.lost(worker)
                if not (repeatable or (whole and isinstance(error, NOTHING_SENT))):
                    raise worker_unreachable() from error
                self._metrics.retries.labels("unreachable").inc()
                continue
            if missing is not None:
                await missing.aclose()
                missing = None
            if not (avatar and answer.status_code in (404, 503)):
                return answer
            missing = answer
        if missing is None:
            raise no_workers()
        return missing

    async def _open(self, scope: Scope, body: bytes) -> httpx.Response:
        """Open a session where there is most room; ask the next one where there turns out to be
        none, or where the avatar is not known or not ready yet."""
        if self.draining:
            raise ApiError(
                503,
                "the server is about to stop; use another one.",
                "stopping",
                {"Retry-After": "10"},
            )
        answer = await self._ask_for_room(scope, body)
        full = answer is None or answer.status_code == 503
        if full and self._watch.placement.loads() and await self._watch.next_look(FRESH_MS):
            # Sessions end without our knowledge: nobody is refused for a load that is outdated.
            if answer is not None:
                await answer.aclose()
            answer = await self._ask_for_room(scope, body)
        if answer is not None:
            return answer
        raise no_room() if self._watch.placement.loads() else no_workers()

    async def _ask_for_room(self, scope: Scope, body: bytes) -> httpx.Response | None:
        """The answer of the first worker that has room, else the last refusal, if any."""
        placement, refusal = self._watch.placement, None
        replaced = _replaced(scope, body)
        until = time.monotonic() + OPEN_S
        for worker in _first(None if replaced is None else worker_of(replaced), placement.order()):
            url = self._watch.urls.get(worker)
            if url is None or time.monotonic() > until:
                continue
            placement.begin(worker)
            status = 0
            try:
                answer = await self._send(url, scope, body)
                status = answer.status_code
            except httpx.TransportError:
                self._watch.lost(worker)
                self._metrics.retries.labels("unreachable").inc()
                continue
            finally:
                placement.end(worker, opened=status == 201, full=status == 503)
            if refusal is not None:
                await refusal.aclose()
            later = status == 409 and "retry-after" in answer.headers  # the avatar is on its way
            if not later and status not in (404, 503):
                return answer
            refusal = answer
            self._metrics.retries.labels("full" if status == 503 else "unknown avatar").inc()
        return refusal

    async def _send(
        self, url: str, scope: Scope, body: bytes | RequestBody, *, upload: bool = False
    ) -> httpx.Response:
        query = scope.get("query_string", b"").decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        headers = framed(scope, forwarded(scope))
        if isinstance(body, bytes) and body:  # it was read whole, however it came
            headers = [pair for pair in headers if pair[0] not in FRAMES]
            headers.append((b"content-length", str(len(body)).encode()))
        seconds = UPLOAD_S if upload else ANSWER_S
        return await self._upstream.send(url, scope["method"], target, headers, body, seconds)


def _replaced(scope: Scope, body: bytes) -> str | None:
    if scope["path"] != "/v1/sessions":
        return None
    try:
        return replaced_session(json.loads(body))
    except (ValueError, RecursionError):  # which the worker refuses
        return None


def _first(worker: str | None, order: Iterable[str]) -> list[str]:
    """`order`, but `worker` before all: only there a session's place can be taken over."""
    others = [one for one in order if one != worker]
    return others if worker is None else [worker, *others]


async def _return(scope: Scope, answer: httpx.Response, send: Send) -> None:
    """Pass the answer on. One that breaks off breaks off for the client too."""
    if answer.status_code not in REFUSED:
        scope[ADMITTED] = True
    headers: RawHeaders = returned(answer.headers.raw)
    start = {"type": "http.response.start", "status": answer.status_code, "headers": headers}
    await send(start)
    try:
        async for piece in answer.aiter_raw():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    finally:
        await answer.aclose()
    await send({"type": "http.response.body", "body": b"", "more_body": False})
