"""Speech from any server that has OpenAI's `POST /v1/audio/speech`."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import httpx

from lipstream.errors import OptionError, SynthesisError
from lipstream.live.clock import Clock, MonotonicClock
from lipstream.media.captions import Caption
from lipstream.speech.synthesis.base import SynthesizedSpeech, check_text
from lipstream.speech.synthesis.pcm_body import SAMPLE_RATE, PcmBody
from lipstream.speech.synthesis.pipeline import pipelined
from lipstream.speech.synthesis.sentences import TextPiece, pieces_of
from lipstream.speech.synthesis.stall_guard import StallGuard

MODEL, VOICE = "tts-1", "alloy"  # the names that most such servers know
CONNECT_S = 5.0
MAX_CONNECTIONS = 200  # of all sessions; a further request waits for CONNECT_S
MAX_ERROR = 64_000  # bytes of a refusal that are read
MAX_QUOTE = 200  # characters of it that are shown
MAX_NAME = 100  # characters of a voice
LOOPBACK = ("localhost", "127.0.0.1", "::1")
NO_URL = "the URL of the speech provider is none; write https://HOST or http://HOST:PORT."
REMEDIES = {
    401: "check the key in LIPSTREAM_TTS_KEY",
    403: "check the key in LIPSTREAM_TTS_KEY",
    404: "check the URL, the model and the voice",
    429: "try again later",
}


@dataclass(frozen=True)
class SpeechEndpoint:
    """The address of a provider, and what it is asked for. No repr shows the key."""

    url: str  # its base, with or without /v1
    model: str = MODEL
    voice: str = VOICE
    key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # of brackets or a port
            raise OptionError(NO_URL) from None
        if parts.username is not None or parts.query or parts.fragment:
            raise OptionError(
                "the URL of the speech provider holds more than an address; put its key into "
                "LIPSTREAM_TTS_KEY and leave the rest out."
            )
        if not valid:
            raise OptionError(NO_URL)
        if self.key is not None and not re.fullmatch(r"[\x21-\x7e]+", self.key):
            raise OptionError(
                "the key of the speech provider holds blanks or other characters that no header "
                "takes; copy it again."
            )

    @property
    def speech_url(self) -> str:
        return f"{self.url.rstrip('/').removesuffix('/v1')}/v1/audio/speech"

    @property
    def name(self) -> str:
        """Begins the sentences about it."""
        return f"the speech provider {urlsplit(self.url).netloc}"

    @property
    def is_private(self) -> bool:
        """True where nobody on the way can read what is sent."""
        parts = urlsplit(self.url)
        return parts.scheme == "https" or parts.hostname in LOOPBACK

    def with_key(self, key: str) -> SpeechEndpoint:
        return replace(self, key=key)

    def redacted(self, text: str) -> str:
        return text if self.key is None else text.replace(self.key, "***")


class OpenAISynthesizer:
    """Asks for one sentence at a time, and for the next while one is spoken.

    It serves the event loop of its first request. Captions are sentences. `transport` and `clock`
    are for tests.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        endpoint: SpeechEndpoint,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._clock = clock or MonotonicClock()
        headers = {"Accept": "audio/pcm, */*", "Accept-Encoding": "identity"}
        if endpoint.key is not None:
            headers["Authorization"] = f"Bearer {endpoint.key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            # Waiting for an answer has deadlines of its own, which know about sound.
            timeout=httpx.Timeout(CONNECT_S, read=None),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=8),
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"OpenAISynthesizer({self.endpoint!r})"

    @property
    def voices(self) -> tuple[str, ...]:
        return (self.endpoint.voice,)

    def check(self, text: str, voice: str | None) -> None:
        """OptionError for text that cannot be said. Which voices there are only it knows."""
        check_text(text)
        if voice is not None and not (voice.isprintable() and 0 < len(voice) <= MAX_NAME):
            raise OptionError(f"a voice is a name of 1 to {MAX_NAME} characters; choose another.")

    def warning(self, text: str) -> str | None:
        """None: only the provider knows which languages it speaks."""
        return None

    async def synthesize(
        self, text: str, voice: str | None = None
    ) -> AsyncGenerator[SynthesizedSpeech, None]:
        """Say `text`; see `Synthesizer`."""
        self.check(text, voice)
        chosen = voice or self.endpoint.voice

        def speak(piece: TextPiece) -> AsyncGenerator[SynthesizedSpeech, None]:
            return self._speak(piece, chosen)

        async with aclosing(pipelined(pieces_of(text), speak, SAMPLE_RATE)) as speech:
            async for part in speech:
                yield part

    async def close(self) -> None:
        await self._client.aclose()

    async def _speak(self, piece: TextPiece, voice: str) -> AsyncGenerator[SynthesizedSpeech, None]:
        body = {
            "model": self.endpoint.model,
            "input": piece.text,
            "voice": voice,
            "response_format": "pcm",
            "stream_format": "audio",
        }
        request = self._client.build_request("POST", self.endpoint.speech_url, json=body)
        guard = StallGuard(self._clock, 2 * SAMPLE_RATE, self.endpoint.name)
        captions: tuple[Caption, ...] = (Caption(piece.text, 0, opens_line=piece.opens_line),)
        try:
            response = await guard.wait(self._client.send(request, stream=True))
            try:
                if response.status_code != httpx.codes.OK:
                    raise await self._refusal(response, guard)
                pcm = PcmBody(response.headers.get("content-type", ""), self.endpoint.name)
                parts = response.aiter_bytes()
                while data := await guard.wait(_next(parts)):
                    guard.received(len(data))
                    if len(samples := pcm.push(data)):
                        yield SynthesizedSpeech(samples, captions)
                        captions = ()
                if len(samples := pcm.end()):
                    yield SynthesizedSpeech(samples, captions)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SynthesisError(
                self.endpoint.redacted(_sentence(error, self.endpoint)), "unreachable"
            ) from None
        if pcm.empty:
            raise SynthesisError(
                f"{self.endpoint.name} answered without any sound; check its log.", "bad_answer"
            )

    async def _refusal(self, response: httpx.Response, guard: StallGuard) -> SynthesisError:
        """The error of an answer that is not 200, with its own words where it has some."""
        code, data = response.status_code, b""
        parts = response.aiter_bytes()
        while len(data) < MAX_ERROR and (part := await guard.wait(_next(parts))):
            data += part
        words = self.endpoint.redacted(_words(data[:MAX_ERROR]))[:MAX_QUOTE].rstrip(". ")
        said = f" ({words})" if words else ""
        remedy = REMEDIES.get(code, "check its log")
        if 300 <= code < 400:
            remedy = "redirects are not followed, name the address itself"
        sentence = f"{self.endpoint.name} answered {code}{said}; {remedy}."
        return SynthesisError(sentence, "refused")


async def _next(parts: AsyncIterator[bytes]) -> bytes:
    """The next part of a body, b"" at its end."""
    return await anext(parts, b"")


def _words(data: bytes) -> str:
    """The sentence in the body of a refusal: OpenAI's shape, FastAPI's, or plain text."""
    text = data.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "" if "<" in text else _plain(text)
    for _ in range(2):
        if isinstance(found, dict):
            found = next((found[key] for key in ("error", "message", "detail") if key in found), "")
    return _plain(found) if isinstance(found, str) else ""


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _sentence(error: Exception, endpoint: SpeechEndpoint) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        reason = " ".join(str(error).split()).rstrip(".") or "no answer"
        return f"{endpoint.name} cannot be reached ({reason}); check --tts and the network."
    if isinstance(error, httpx.PoolTimeout):
        return f"{MAX_CONNECTIONS} texts are being synthesized; try again later."
    return f"{endpoint.name} broke off its answer; try again or check its log."
