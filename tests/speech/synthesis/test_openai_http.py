"""A provider over HTTP: its sound sample for sample, and a sentence for each of its faults."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import httpx
import numpy as np
import pytest

from lipstream.errors import OptionError, SynthesisError
from lipstream.live.clock import ManualClock
from lipstream.media.captions import Caption
from lipstream.speech.synthesis.base import SynthesizedSpeech
from lipstream.speech.synthesis.openai_http import OpenAISynthesizer, SpeechEndpoint
from tests.speech.synthesis.stub_provider import PCM, Call, provider

KEY = "sk-very-secret-0123456789"
TEXT = "Hello there."
Answer = Callable[[Call], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


async def said(answer: Answer, text: str = TEXT, **fields: str) -> list[SynthesizedSpeech]:
    async with provider(answer) as stub:
        synthesizer = OpenAISynthesizer(SpeechEndpoint(stub.url, key=KEY, **fields))
        try:
            return [part async for part in synthesizer.synthesize(text)]
        finally:
            await synthesizer.close()


def refusal(answer: Answer, text: str = TEXT) -> str:
    with pytest.raises(SynthesisError) as caught:
        asyncio.run(said(answer, text))
    assert KEY not in str(caught.value) and str(caught.value).endswith(".")
    return str(caught.value)


def samples(parts: list[SynthesizedSpeech]) -> bytes:
    return np.concatenate([part.samples for part in parts]).astype("<i2").tobytes()


@pytest.mark.parametrize("size", [1, 7, 777, 100_000])
def test_no_cut_changes_a_sample(size: int) -> None:
    async def answer(call: Call) -> None:
        await call.begin()
        for at in range(0, 6000, size):
            await call.send(PCM[:6000][at : at + size])
        await call.end()

    assert samples(asyncio.run(said(answer))) == PCM[:6000]


def test_half_a_sample_at_the_end_is_dropped() -> None:
    assert samples(asyncio.run(said(lambda call: call.answer(PCM[:101])))) == PCM[:100]


def test_a_request_is_openais() -> None:
    calls: list[Call] = []

    async def answer(call: Call) -> None:
        calls.append(call)
        await call.answer()

    asyncio.run(said(answer, model="kokoro", voice="af_bella"))
    assert calls[0].head.startswith("POST /v1/audio/speech HTTP/1.1\r\n")
    assert f"Authorization: Bearer {KEY}\r\n" in calls[0].head
    assert calls[0].body == {
        "model": "kokoro",
        "input": TEXT,
        "voice": "af_bella",
        "response_format": "pcm",
        "stream_format": "audio",
    }


def test_sentences_follow_each_other_with_their_captions() -> None:
    async def answer(call: Call) -> None:
        first = call.body["input"] == "One."
        await call.answer(PCM[:4000] if first else PCM[4000:6000])

    parts = asyncio.run(said(answer, "One. Two is longer."))
    assert samples(parts) == PCM[:6000]
    assert [caption for part in parts for caption in part.captions] == [
        Caption("One.", 0),
        Caption("Two is longer.", 2000),
    ]


def test_the_next_sentence_is_asked_for_while_one_is_spoken() -> None:
    async def run() -> None:
        second = asyncio.Event()

        async def answer(call: Call) -> None:
            if call.body["input"] == "One.":
                await call.begin()
                await call.send(PCM[:100])
                await second.wait()  # this one ends only when the next one has begun
                await call.end()
            else:
                assert call.body["input"] == "Two."
                second.set()
                await call.answer()

        async with provider(answer) as stub:
            synthesizer = OpenAISynthesizer(SpeechEndpoint(stub.url))
            assert [part async for part in synthesizer.synthesize("One.\nTwo.")]
            await synthesizer.close()

    asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize("cancelled", [False, True])
def test_closing_hangs_up(cancelled: bool) -> None:
    async def run() -> None:
        async def answer(call: Call) -> None:
            await call.begin()
            await call.send(PCM)
            await asyncio.Event().wait()

        async with provider(answer) as stub:
            synthesizer = OpenAISynthesizer(SpeechEndpoint(stub.url))
            speech = synthesizer.synthesize(TEXT)
            await anext(speech)
            if cancelled:
                waiting = asyncio.ensure_future(anext(speech))
                await asyncio.sleep(0)
                waiting.cancel()
            else:
                await speech.aclose()
            await stub.hung_up.wait()
            await synthesizer.close()

    asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize("begun", [False, True])
def test_a_stall_ends_it(begun: bool) -> None:
    async def run() -> str:
        async def answer(call: Call) -> None:
            if begun:
                await call.begin()
                await call.send(PCM)
            await asyncio.Event().wait()

        async with provider(answer) as stub:
            clock = ManualClock()
            synthesizer = OpenAISynthesizer(SpeechEndpoint(stub.url), clock)
            speech = synthesizer.synthesize(TEXT)
            if begun:
                await anext(speech)
            waiting = asyncio.ensure_future(anext(speech))
            await stub.called.wait()  # the machine's own time
            while not waiting.done():
                clock.advance(500)
                await asyncio.sleep(0)
            with pytest.raises(SynthesisError) as caught:
                await waiting
            await stub.hung_up.wait()
            await synthesizer.close()
            return str(caught.value)

    message = asyncio.run(asyncio.wait_for(run(), 20))
    assert f"sent nothing for {10 if begun else 20} seconds" in message


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        ("500 Oops", b'{"error": {"message": "The model fell over."}}', "application/json", "fell"),
        ("401 No", f'{{"error": "bad key {KEY}"}}'.encode(), "application/json", "bad key ***"),
        ("422 Bad", b'{"detail": "no voice alloy"}', "application/json", "no voice alloy"),
        ("404 Not Found", b"<html>nope</html>", "text/html", "answered 404; check the URL"),
        ("429 Slow", b"slow down\r\n\x1b[2J", "text/plain", "(slow down [2J); try again later."),
        ("307 Go", b"", "text/plain", "redirects are not followed"),
        ("200 OK", b'{"error": {"message": "x"}}', "audio/pcm", "answered with text instead"),
        ("200 OK", b"RIFF\x24\x08\x00\x00WAVEfmt ", "audio/pcm", "answered with WAV instead"),
        ("200 OK", b"\xff\xfb\x90\x64" * 9, "audio/mpeg", "answered with MP3 instead"),
        ("200 OK", b"ID3\x04\0\0\0\0\0\0\0\0\0\0\0\0\0", "audio/pcm", "answered with MP3 instead"),
        ("200 OK", PCM, "audio/pcm; rate=16000", "answered at 16000 Hz"),
    ],
)
def test_an_answer_without_pcm_is_one_sentence(
    status: str, body: bytes, kind: str, words: str
) -> None:
    async def answer(call: Call) -> None:
        await call.begin(status, kind, "Location: http://127.0.0.1:9/")
        if body:
            await call.send(body)
        await call.end()

    message = refusal(answer)
    assert words in message and message.startswith("the speech provider 127.0.0.1:")


def test_no_sound_at_all_is_said() -> None:
    async def answer(call: Call) -> None:
        await call.begin()
        await call.end()

    assert "answered without any sound" in refusal(answer)


def test_a_connection_that_breaks_off_is_said() -> None:
    async def answer(call: Call) -> None:
        await call.begin()
        await call.send(PCM)

    assert "broke off its answer" in refusal(answer)


def test_a_fault_in_a_later_sentence_keeps_what_was_spoken() -> None:
    async def run() -> None:
        async def answer(call: Call) -> None:
            if call.body["input"] == "One.":
                await call.answer()
            else:
                await call.answer(b"", "500 Oops")

        async with provider(answer) as stub:
            synthesizer = OpenAISynthesizer(SpeechEndpoint(stub.url))
            spoken = b""
            with pytest.raises(SynthesisError, match="answered 500"):
                async for part in synthesizer.synthesize("One.\nTwo."):
                    spoken += part.samples.tobytes()
            assert spoken == PCM
            await synthesizer.close()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_endless_sound_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.speech.synthesis.pipeline.MAX_SPEECH_S", 1)

    async def answer(call: Call) -> None:
        await call.begin()
        while True:
            await call.send(PCM)

    assert "minutes of sound" in refusal(answer)


def test_nobody_there_is_said() -> None:
    async def run() -> None:
        synthesizer = OpenAISynthesizer(SpeechEndpoint("http://127.0.0.1:9", key=KEY))
        try:
            async for _ in synthesizer.synthesize(TEXT):
                pass
        finally:
            await synthesizer.close()

    with pytest.raises(SynthesisError, match=r"127\.0\.0\.1:9 cannot be reached .*; check --tts"):
        asyncio.run(run())


def test_no_key_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint = SpeechEndpoint("http://127.0.0.1:9", key=KEY)
    synthesizer = OpenAISynthesizer(endpoint, transport=httpx.MockTransport(_leaky))

    async def run() -> None:
        async for _ in synthesizer.synthesize(TEXT):
            pass

    with pytest.raises(SynthesisError) as caught:
        asyncio.run(run())
    shown = [str(caught.value), repr(endpoint), repr(synthesizer), caplog.text]
    assert not any(KEY in text for text in shown)


def _leaky(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"no way with {request.headers['authorization']}")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("ftp://here", None),
        ("http://", None),
        ("http://[::1", None),
        ("http://here:99999", None),
        ("http://here:port", None),
        (f"ftp://user:{KEY}@here", None),
        (f"https://user:{KEY}@here", None),
        (f"https://here?key={KEY}", None),
        ("https://here", f"{KEY}\nX-Evil: 1"),
    ],
)
def test_a_wrong_endpoint_is_refused_without_its_secrets(url: str, key: str | None) -> None:
    with pytest.raises(OptionError) as caught:
        SpeechEndpoint(url, key=key)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("text", ["", " \n", "x" * 5001, "half \ud83d"])
def test_text_that_nobody_can_say_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        OpenAISynthesizer(SpeechEndpoint("http://here")).check(text, None)
