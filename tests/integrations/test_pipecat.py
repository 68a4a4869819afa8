"""Pipecat with our package: a face in the bot's process, and one over `lipstream serve`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.serving import Serving, serving
from tests.integrations.clients import OURS, ROOT, run_client

pytestmark = [pytest.mark.agents, pytest.mark.alone]

TOKEN = "right-token-0123"
PICTURE = str(ROOT / "examples/portrait_closed.png")

# Of the utterance that is cut nothing was heard to its end, so nothing is told of it.
BEHIND_SPEECH = [
    *("TTSText said 1", "TTSText said 2", "TTSStopped"),
    *("TTSText last 1", "TTSText last 2", "TTSStopped"),
]
TOLD = [
    *("BotStartedSpeaking", "TTSText said 1", "TTSText said 2", "BotStoppedSpeaking"),
    *("TTSStopped", "BotStartedSpeaking", "BotStoppedSpeaking", "BotStartedSpeaking"),
    *("TTSText last 1", "TTSText last 2", "BotStoppedSpeaking", "TTSStopped"),
]


def run(script: str, *arguments: str) -> dict[str, Any]:
    """What a program of this folder prints."""
    done = run_client(script, *arguments, path=OURS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    print(found)
    return found


def play(script: str, *arguments: str) -> dict[str, Any]:
    """What a program of this folder found in its scene."""
    found = run(script, *arguments)
    judge(found)
    return found


def judge(found: dict[str, Any]) -> None:
    """What holds in every scene."""
    assert found["said_s"] == pytest.approx(3.0, abs=0.1)
    assert found["last_s"] == pytest.approx(2.0, abs=0.1)  # with an EndFrame right behind it
    assert 0.9 <= found["cut_s"] <= 1.4
    assert found["holes_s"] <= 0.05
    assert found["silent_ms"] <= 200  # after an InterruptionFrame
    assert len(found["ttfb_ms"]) == 3 and all(0 < ms < 1000 for ms in found["ttfb_ms"])


def test_the_service_in_pipecats_harness() -> None:
    """Two bots at once, drawn in processes beside theirs."""
    for found in run("pipecat_local.py", "harness", PICTURE).values():
        judge(found)
        assert found["told"] == BEHIND_SPEECH
        assert found["pictures"] >= 0.9 * 25 * 9


def test_speech_that_must_be_said_is_not_interrupted() -> None:
    found = run("pipecat_local.py", "must", PICTURE)
    assert found["heard_s"] == pytest.approx(2.0, abs=0.05)
    assert found["told"] == ["TTSText must 1", "TTSText must 2", "TTSStopped"]


def test_the_service_over_webrtc() -> None:
    found = play("pipecat_local.py", "webrtc", PICTURE)
    assert found["told"] == TOLD
    assert found["rtp_share"] == pytest.approx(1.0, abs=0.02)
    assert len(found["apart_ms"]) == 3  # each picture of a word leaves with its sound
    assert sorted(map(abs, found["apart_ms"]))[1] <= 40


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving("--token", TOKEN, "--avatar", f"face={PICTURE}") as started:
        yield started


def test_the_transport_over_a_server(server: Serving) -> None:
    found = play("pipecat_server.py", server.url, TOKEN)
    assert found["told"] == TOLD
    assert found["rtp_share"] == pytest.approx(1.0, abs=0.02)
    assert found["voice_s"] == pytest.approx(2.0, abs=0.1)  # of the viewer
    assert found["voice_hz"] == pytest.approx(600, abs=5)
    assert found["repeated_s"] == 0  # by the avatar
    said, last = [["said 1", 0], ["said 2", 1.5]], [["last 1", 0], ["last 2", 1]]
    assert found["captions"] == [*said, ["cut 1", 0], *last]  # as heard, s of the utterance
    assert found["clients"] == ["connected"] and found["closed"]


def test_troubles_of_a_server_are_told_to_the_pipeline(server: Serving) -> None:
    found = run("pipecat_troubles.py", server.url, TOKEN)
    assert found["wrong_token"][0] == 401 and "valid token" in found["wrong_token"][1]
    assert found["no_avatar"][0] == 404
    assert found["no_server"][0] == 0 and "could not be asked" in found["no_server"][1]
    cut, ended = found["interrupted"], found["ended"]
    said = ["BotStartedSpeaking", "TTSText next 1", "TTSText next 2", "BotStoppedSpeaking"]
    assert cut["told"] == ["BotStartedSpeaking", "BotStoppedSpeaking", *said, "TTSStopped"]
    # Nobody can hear more: what comes is passed on, and the end is not waited for.
    assert ended["told"] == ["BotStartedSpeaking", "BotStoppedSpeaking", *said[1:3], "TTSStopped"]
    assert ended["end_s"] < 2
