"""A session of a lipstream server: its calls and its sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

TIMEOUT_S = 10.0  # of a call
HEARTBEAT_S = 20.0  # between pings of a socket
MAX_MESSAGE_BYTES = 1 << 20
GOING_AWAY = 1001  # the close code of a session that has ended


class LipstreamServerError(Exception):
    """A server refused a call, or could not be asked; the message says why."""

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code  # of the answer; 0 where there was none


class LipstreamClient:
    """One session of a server, opened when it is first needed."""

    def __init__(
        self,
        server_url: str,
        token: str | None = None,
        *,
        avatar: str | None = None,
        motion: str | None = None,
        session: Mapping[str, Any] | None = None,
    ) -> None:
        """`avatar` is opened, or `session` used, which somebody else has opened."""
        if (avatar is None) == (session is None):
            raise ValueError("give LipstreamTransport either an avatar or a session.")
        if urlsplit(server_url).username is not None:  # which errors and logs would repeat
            raise ValueError("server_url must name no user or password; give token.")
        self._base = server_url.rstrip("/") + "/"
        self._wanted = {"avatar": avatar} | ({"motion": motion} if motion else {})
        self._token = token or (None if session is None else session.get("token"))
        self._http: aiohttp.ClientSession | None = None
        self._closed = False
        self.session = session  # the answer to POST /v1/sessions

    @property
    def id(self) -> str:
        """The id of the session."""
        if self.session is None:
            raise RuntimeError("the session is not open yet.")
        return str(self.session["id"])

    async def open(self) -> Mapping[str, Any]:
        """Open the session, once. LipstreamServerError when the server refuses."""
        if self.session is None:
            try:
                self.session = await self._call("POST", "v1/sessions", self._wanted)
            except LipstreamServerError:
                await self.close()  # whoever is refused has nothing else to close
                raise
        return self.session

    async def interrupt(self) -> None:
        """Silence the session at once. By HTTP: on the socket it would wait behind speech."""
        await self._call("POST", f"v1/sessions/{self.id}/interrupt")

    async def connect(self, address: str, sample_rate: int) -> aiohttp.ClientWebSocketResponse:
        """Open the socket of the session whose path is called `address` in it."""
        session = await self.open()
        url = urljoin(self._base, session[address])
        try:
            return await self._opened().ws_connect(
                url,
                params={"sample_rate": str(sample_rate)},
                headers=self._headers(),
                heartbeat=HEARTBEAT_S,
                max_msg_size=MAX_MESSAGE_BYTES,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise LipstreamServerError(
                f"the server refused {address} with {error.status}.", error.status
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def close(self) -> None:
        """End the session, which frees its place. May be called twice."""
        closed, self._closed = self._closed, True
        try:
            if self.session is not None and not closed:
                await self._call("DELETE", f"v1/sessions/{self.id}")
        except LipstreamServerError:
            pass  # the server ends it by its own limits
        finally:
            http, self._http = self._http, None
            if http is not None:
                await http.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        return self._http

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of the answer; None where there is none."""
        url, headers = urljoin(self._base, path), self._headers()
        try:
            async with self._opened().request(method, url, json=body, headers=headers) as answer:
                if answer.status >= 400:
                    raise await _refusal(answer)
                return None if answer.status == 204 else await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> LipstreamServerError:
        reason = str(error) or type(error).__name__
        return LipstreamServerError(f"{self._base} could not be asked: {reason}.")


async def _refusal(answer: aiohttp.ClientResponse) -> LipstreamServerError:
    """The error that a lipstream server answered with, or any other one."""
    try:
        error = (await answer.json())["error"]
        message, code = str(error["message"]), str(error["code"])
    except (aiohttp.ClientError, ValueError, KeyError, TypeError):
        message, code = f"the server answered {answer.status}.", ""
    return LipstreamServerError(message, answer.status, code)
