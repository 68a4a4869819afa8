"""Simli's own client and Pipecat's service for Simli, unchanged, against `lipstream serve`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.serving import Serving, serving
from tests.integrations.clients import CLIENTS, ROOT, run_client

pytestmark = [pytest.mark.clients, pytest.mark.alone]

NEWEST = CLIENTS / "simli"  # the newest simli-ai; Pipecat asks for an older one
TOKEN = "right-token-0123"
FACE = "face=" + str(ROOT / "examples/portrait_closed.png")


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving("--token", TOKEN, "--avatar", FACE) as started:
        yield started


def talk(server: Serving, script: str, key: str = TOKEN, path: str = "") -> dict[str, Any]:
    """What a client says of its conversation."""
    done = run(server, script, key, path)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    print(found)
    return found


def run(server: Serving, script: str, key: str, path: str = "") -> subprocess.CompletedProcess[str]:
    return run_client(script, server.url, key, path=path)


@pytest.mark.parametrize("path", [str(NEWEST), ""], ids=["newest", "as Pipecat asks for"])
def test_the_client_of_simli_hears_what_it_sends(server: Serving, path: str) -> None:
    found = talk(server, "simli_client.py", path=path)
    assert found["heard_s"] == pytest.approx(3.0, abs=0.1)  # sent at once
    assert found["paced_s"] == pytest.approx(3.0, abs=0.1)  # sent as it is spoken
    assert found["silent_ms"] <= 200  # after SKIP
    # After PLAY_IMMEDIATE a second is heard, and at most 200 ms of what played before.
    assert 0.9 <= found["immediate_s"] <= 1.3
    assert found["pictures"] >= 0.9 * 25 * 14
    said = [word for word in found["events"] if word in ("SPEAK", "SILENT")]
    assert said == ["SPEAK", "SILENT"] * 5
    assert "ACK" in found["events"] and [512, 512] in found["events"]


def test_the_service_of_pipecat_hears_what_it_sends(server: Serving) -> None:
    found = talk(server, "pipecat_simli.py")
    assert found["heard_s"] == pytest.approx(3.0, abs=0.1)
    assert found["silent_ms"] <= 200  # after an InterruptionFrame
    assert found["pictures"] >= 0.9 * 25 * 8


def test_a_wrong_key_is_told_as_clients_know_it(server: Serving) -> None:
    done = run(server, "simli_client.py", "wrong-token-0123", str(NEWEST))
    assert done.returncode == 1
    assert "SimliAPIError" in done.stderr and "HTTP 401: INVALID_API_KEY" in done.stderr
