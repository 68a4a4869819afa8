"""Conversations in Pipecat: what is said of each utterance, and what a viewer hears of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests import timed
from tests.cli.serving import serving
from tests.integrations.clients import OURS, ROOT, run_client

pytestmark = [pytest.mark.agents, pytest.mark.alone]

# LIPSTREAM_UTTERANCES=50 says as many: a minute and a half.
UTTERANCES = int(os.environ.get("LIPSTREAM_UTTERANCES", "12"))
TOKEN = "right-token-0123"
PICTURE = str(ROOT / "examples/portrait_closed.png")
UNIT_S = 0.04
PREFETCH_S = 0.1  # aiortc holds four packets of a track back; one more is on its way
BOUNDS_MS = {  # of the worst utterance
    "off": 1000 * UNIT_S,  # heard, from what was pushed
    "holes": 0,  # within an utterance
    "early": 1000 * UNIT_S,  # told of its end, or of a sentence's, before that was heard
    "silent": 200,  # from an InterruptionFrame to silence
    "clock": 20,  # of the pictures, in a second of wall time
}

Said = dict[str, Any]  # as pipecat_conversation.py prints it


@dataclass(frozen=True, slots=True)
class Verdict:
    """The worst figures of a conversation, in milliseconds."""

    worst: dict[str, float]

    @property
    def passed(self) -> bool:
        return all(value <= BOUNDS_MS[name] for name, value in self.worst.items())

    def note(self, name: str, seconds: float) -> None:
        self.worst[name] = max(self.worst[name], round(1000 * seconds))


def converse(mode: str, *where: str) -> Verdict:
    """Hold a conversation, and assert what no machine may disturb; the figures of the rest."""
    patience = 60 + 4 * UTTERANCES
    script, count = "pipecat_conversation.py", str(UTTERANCES)
    done = run_client(script, mode, count, *where, path=OURS, timeout=patience)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    verdict = Verdict(dict.fromkeys(BOUNDS_MS, 0.0))
    ends = told_of(found["said"], found["told"])
    for said in found["said"]:
        judge(verdict, said, ends[said["name"]], 0.0 if mode == "harness" else PREFETCH_S)
    if "rtp_share" in found:
        verdict.note("clock", abs(found["rtp_share"] - 1))
        assert_one_of_each(found["told"], sum(said["heard_s"] > 0 for said in found["said"]))
    return verdict


def told_of(said: Sequence[Said], told: Sequence[tuple[float, str]]) -> dict[str, list[float]]:
    """When the pipeline was told of the first sentence of each utterance, the second, its end."""
    ends: dict[str, list[float]] = {one["name"]: [] for one in said}
    name = ""
    for at, event in told:
        if event.startswith("TTSText "):
            _, name, sentence = event.split()
            assert len(ends[name]) == int(sentence) - 1, event
            ends[name].append(at)
        elif event == "TTSStopped":
            assert len(ends[name]) == 2, name
            ends[name].append(at)
    return ends


def judge(verdict: Verdict, said: Said, ends: Sequence[float], prefetch_s: float) -> None:
    """Compare what was told of an utterance with what was heard of it."""
    cut, heard = said["interrupted"] is not None, said["heard_s"]
    assert cut or len(ends) == 3, said
    verdict.note("off", heard - said["seconds"] if cut else abs(heard - said["seconds"]))
    verdict.note("holes", said["holes_s"])
    until = said["ended"] - prefetch_s
    if cut:
        verdict.note("silent", until - said["interrupted"])
    if len(ends) == 3:
        verdict.note("early", until - ends[2])
    first = -(-said["seconds"] // 0.1) // 2 * 0.1  # seconds of the first sentence
    for needed in (first, said["seconds"])[: len(ends)]:
        verdict.note("early", needed - heard)


def assert_one_of_each(told: Sequence[tuple[float, str]], utterances: int) -> None:
    """Exactly one started and one stopped for each that was heard."""
    events = [event for _, event in told if event.startswith("Bot")]
    assert events == ["BotStartedSpeaking", "BotStoppedSpeaking"] * utterances


def hold(conversation: Callable[[], Verdict]) -> None:
    """Converse again where a busy machine may have disturbed it; fail if it goes on."""
    done = timed.measure_until(conversation, lambda verdict: verdict.passed)
    print(done[-1].value)
    timed.judge(done[-1].value.passed, done, [one.value for one in done])


@pytest.mark.parametrize("mode", ["harness", "webrtc"])
def test_a_conversation_with_the_face_in_the_bots_process(mode: str) -> None:
    hold(lambda: converse(mode, PICTURE))


def test_a_conversation_with_the_face_of_a_server() -> None:
    with serving("--token", TOKEN, "--avatar", f"face={PICTURE}") as server:
        hold(lambda: converse("server", server.url, TOKEN))
