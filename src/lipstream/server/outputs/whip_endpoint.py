"""The HTTP part of WHIP (RFC 9725): an offer to an endpoint, and the end of what it opened."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urljoin

import httpx

from lipstream.errors import LipstreamError
from lipstream.push.live_push import PushRefusedError
from lipstream.server.outputs.push_address import PushAddress
from lipstream.server.rtc.sdp.parse import MAX_SDP_BYTES

ANSWER_S = 10.0  # for the answer to an offer, with all redirections
DELETE_S = 2.0  # for the last word
MAX_REDIRECTS = 3
REDIRECTED = (307, 308)  # the others would turn POST into GET (section 4.5)
REFUSED = {  # statuses that another try will not change
    400: "it cannot read the offer",
    401: "the token is missing or wrong",
    403: "the token does not allow it",
    404: "there is no such endpoint",
    405: "the address is no endpoint of WHIP",
    406: "it cannot take such a stream",
    410: "there is no such endpoint any more",
    415: "the address is no endpoint of WHIP",
    422: "it cannot take such an offer",
}

MayFollow = Callable[[PushAddress], bool]


class WhipError(LipstreamError):
    """An endpoint did not answer, or not as WHIP asks; another try may help."""


@dataclass(frozen=True, slots=True)
class Published:
    """The answer of an endpoint, and the address of what it opened, where it told one."""

    answer: str
    resource: PushAddress | None = field(repr=False)


class WhipEndpoint:
    """An endpoint to which streams are published, each with a connection of its own.

    It is followed to other addresses only where `may_follow` allows it, and never from https to
    http. The token goes to the endpoint's own host alone.
    """

    def __init__(
        self,
        address: PushAddress,
        token: str | None,
        may_follow: MayFollow,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`transport` is httpx's own unless a test brings another."""
        self._address, self._token, self._may_follow = address, token, may_follow
        self._transport = transport

    async def publish(self, offer: str) -> Published:
        """The answer to an SDP offer. Raises WhipError, and PushRefusedError for good."""
        try:
            # httpx would count each step by itself, and an endpoint may take any number of them.
            return await asyncio.wait_for(self._publish(offer), ANSWER_S)
        except asyncio.TimeoutError:
            raise WhipError(f"no answer within {ANSWER_S:.0f} s") from None
        except httpx.HTTPError as error:
            raise WhipError(f"it cannot be reached ({type(error).__name__})") from error

    async def delete(self, resource: PushAddress) -> None:
        """End what `publish` opened, if the endpoint still listens."""
        with contextlib.suppress(asyncio.TimeoutError, httpx.HTTPError):
            await asyncio.wait_for(self._delete(resource), DELETE_S)

    async def _publish(self, offer: str) -> Published:
        address = self._address
        async with await self._open_client() as client:
            for _ in range(MAX_REDIRECTS + 1):
                headers = self._headers(address) | {"Content-Type": "application/sdp"}
                async with client.stream(
                    "POST", address.url, content=offer, headers=headers
                ) as answer:
                    if answer.status_code == 201:
                        location = answer.headers.get("location")
                        found = None if location is None else self._linked(address, location)
                        return Published(await _text_of(answer), found)
                    if answer.status_code not in REDIRECTED:
                        raise _refusal(answer.status_code)
                    target = self._linked(address, answer.headers.get("location", ""))
                if target is None:
                    raise PushRefusedError("it redirects to where streams may not be pushed")
                address = target
        raise WhipError(f"it redirects more than {MAX_REDIRECTS} times")

    async def _delete(self, resource: PushAddress) -> None:
        async with await self._open_client() as client:
            async with client.stream("DELETE", resource.url, headers=self._headers(resource)):
                pass

    async def _open_client(self) -> httpx.AsyncClient:
        # A request as a whole has a deadline.
        trusted, transport = await asyncio.to_thread(_trusted), self._transport
        return httpx.AsyncClient(
            verify=trusted, timeout=None, follow_redirects=False, transport=transport
        )

    def _headers(self, address: PushAddress) -> dict[str, str]:
        own = address.host == self._address.host
        return {"Authorization": f"Bearer {self._token}"} if own and self._token else {}

    def _linked(self, base: PushAddress, location: str) -> PushAddress | None:
        """The address that a header names, if it may be followed."""
        try:
            found = PushAddress.parse(urljoin(base.url, location))
        except ValueError:  # of what looks like IPv6
            return None
        if found is None or not found.by_whip or (base.scheme, found.scheme) == ("https", "http"):
            return None
        return found if self._may_follow(found) else None


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted. To read them takes 20 ms, in which no frame is sent: it is
    done once, in a thread."""
    return httpx.create_ssl_context()


async def _text_of(answer: httpx.Response) -> str:
    """The body of an answer. Raises WhipError for what is no SDP."""
    body = b""
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > MAX_SDP_BYTES:
            raise WhipError("its answer is too long")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise WhipError("its answer is no SDP") from None


def _refusal(status: int) -> LipstreamError:
    if status in REFUSED:
        return PushRefusedError(f"it refuses with {status}: {REFUSED[status]}")
    return WhipError(f"it answers with {status}")
