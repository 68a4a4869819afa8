"""The calls to a lipstream server: open a session in a room, and close it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from livekit.agents import APIConnectOptions

from .errors import LipstreamException
from .log import logger

ANSWER_S = 30.0  # a server waits up to 10 s for the room
FULL = 503


@dataclass(frozen=True)
class RoomSession:
    """A session that a server has opened in a room."""

    id: str
    token: str  # opens this session alone


class AvatarServer:
    """A lipstream server, by its address and token."""

    def __init__(self, url: str, api_key: str | None, options: APIConnectOptions) -> None:
        if not url.startswith(("http://", "https://")):  # not repeated, as it may hold a password
            raise LipstreamException(
                "server_url must begin with http:// or https://, such as https://avatars.example.org."
            )
        if urlsplit(url).username is not None:  # which errors and logs would repeat
            raise LipstreamException("server_url must name no user or password; give api_key.")
        self._url, self._options = url.rstrip("/"), options
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    async def open_session(
        self, avatar: str, room: dict[str, str], *, motion: str | None = None
    ) -> RoomSession:
        """Have the server join `room`; try again while it is full or cannot be reached."""
        body: dict[str, Any] = {"avatar": avatar, "livekit": room}
        if motion is not None:
            body["motion"] = motion
        for left in reversed(range(self._options.max_retry + 1)):
            try:
                return await self._open(body)
            except (aiohttp.ClientError, asyncio.TimeoutError) as error:
                problem = f"the lipstream server at {self._url} cannot be reached: {_words(error)}"
            except _Busy as error:
                problem = str(error)
            if left:
                logger.warning("%s; trying again", problem.rstrip("."))
                await asyncio.sleep(self._options.retry_interval)
        raise LipstreamException(f"{problem.rstrip('.')}.")

    async def close_session(self, session: RoomSession) -> None:
        """End `session`; a server that cannot be reached ends it by itself."""
        headers = {"Authorization": f"Bearer {session.token}"}
        url, timeout = f"{self._url}/v1/sessions/{session.id}", aiohttp.ClientTimeout(5.0)
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.delete(url, headers=headers, timeout=timeout),
            ):
                pass
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            logger.warning("the session could not be closed: %r", error)

    async def _open(self, body: dict[str, Any]) -> RoomSession:
        timeout = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=self._options.timeout)
        url = f"{self._url}/v1/sessions"
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, json=body, headers=self._headers, timeout=timeout) as answer,
        ):
            if answer.status == FULL:
                raise _Busy(await _reason(answer))
            if not answer.ok:
                raise LipstreamException(
                    f"the lipstream server refuses ({answer.status}): {await _reason(answer)}"
                )
            try:
                told = await answer.json(content_type=None)
                return RoomSession(told["id"], told["token"])
            except (ValueError, KeyError, TypeError) as error:
                raise LipstreamException(
                    f"what answers at {self._url} is no lipstream server; check server_url."
                ) from error


def _words(error: Exception) -> str:
    """The error in words; a timeout has none."""
    return str(error) or type(error).__name__


class _Busy(Exception):
    """A server without room for one more session at present."""


async def _reason(answer: aiohttp.ClientResponse) -> str:
    """The sentence that a server gives with a refusal."""
    try:
        told = await answer.json()
        return str(told["error"]["message"])
    except (aiohttp.ClientError, ValueError, KeyError, TypeError):
        return f"{answer.reason}."
