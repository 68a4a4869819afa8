"""Pipecat with our package: a face in the bot's process, and one over `lipstream serve`."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.cli.serving import serving
from tests.integrations.clients import OURS, ROOT, run_client

pytestmark = [pytest.mark.agents, pytest.mark.alone]

TOKEN = "right-token-0123"
PICTURE = str(ROOT / "examples/portrait_closed.png")
PATH = os.pathsep.join(map(str, OURS))

# Of the utterance that is cut nothing was heard to its end, so nothing is told of it.
BEHIND_SPEECH = [
    *("TTSText said 1", "TTSText said 2", "TTSStopped"),
    *("TTSText last 1", "TTSText last 2", "TTSStopped"),
]
TOLD = [
    *("BotStartedSpeaking", "TTSText said 1", "TTSText said 2", "TTSStopped"),
    *("BotStoppedSpeaking", "BotStartedSpeaking", "BotStoppedSpeaking", "BotStartedSpeaking"),
    *("TTSText last 1", "TTSText last 2", "TTSStopped", "BotStoppedSpeaking"),
]


def play(script: str, *arguments: str) -> dict[str, Any]:
    """What a program of this folder found in its scene."""
    done = run_client(script, *arguments, path=PATH)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    print(found)
    assert found["said_s"] == pytest.approx(3.0, abs=0.1)
    assert found["last_s"] == pytest.approx(2.0, abs=0.1)  # with an EndFrame right behind it
    assert 0.9 <= found["cut_s"] <= 1.4
    assert found["holes_s"] <= 0.05
    assert found["silent_ms"] <= 200  # after an InterruptionFrame
    assert len(found["ttfb_ms"]) == 3 and all(0 < ms < 1000 for ms in found["ttfb_ms"])
    return found


def test_the_service_in_pipecats_harness() -> None:
    found = play("pipecat_local.py", "harness", PICTURE)
    assert found["told"] == BEHIND_SPEECH
    assert found["pictures"] >= 0.9 * 25 * 9


def test_the_service_over_webrtc() -> None:
    found = play("pipecat_local.py", "webrtc", PICTURE)
    assert found["told"] == TOLD
    assert found["rtp_share"] == pytest.approx(1.0, abs=0.02)


def test_the_transport_over_a_server() -> None:
    with serving("--token", TOKEN, "--avatar", f"face={PICTURE}") as server:
        found = play("pipecat_server.py", server.url, TOKEN)
    assert found["told"] == TOLD
    assert found["rtp_share"] == pytest.approx(1.0, abs=0.02)
    assert found["voice_s"] == pytest.approx(2.0, abs=0.1)  # of the viewer
    assert found["voice_hz"] == pytest.approx(600, abs=5)
    assert found["repeated_s"] == 0  # by the avatar
    assert found["clients"] == ["connected"] and found["closed"]
