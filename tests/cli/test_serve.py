"""`lipstream serve`: refused in a sentence, started with a line, stopped in peace."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from lipstream.installation import install_command
from tests.cli.program import Program, sentence_in
from tests.cli.serving import PATIENCE_S, Serving, serving
from tests.media_files import tone, write_wav
from tests.server.viewers import Viewer


@pytest.mark.parametrize(
    ("arguments", "sentence", "status"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines, so a token .*", 2),
        (["--token", "short"], "the token must be 8 to 256 letters.*", 2),
        (["--avatar", "a/b=x.png"], "--avatar: 'a/b=x.png' names no avatar; write NAME=PATH .*", 2),
        (["--avatar", "="], "--avatar: '=' names no avatar.*", 2),
        (["--avatar", "a=x.png", "--avatar", "a=y"], "--avatar: 'a' is given twice; choose .*", 2),
        (["--avatar", "a=nobody.png"], "nobody.png does not exist; check the name.", 1),
        (["--origin", "*"], "--origin: '\\*' is no origin; write https://example.org.", 2),
        (["--turn-url", "turn:a"], "--turn-url needs --turn-secret.*", 2),
        (["--turn-url", "foo", "--turn-secret", "abc"], "--turn-url: 'foo' is no TURN server.*", 2),
        (["--stun-url", "foo"], "--stun-url: 'foo' is no STUN server; write stun:stun.exam.*", 2),
        (["--public-ip", "foo"], "--public-ip: 'foo' is no IP address of a machine; write .*", 2),
        (["--webhook", "https://example.org"], "--webhook and --webhook-secret need each.*", 2),
        (["--webhook", "example", "--webhook-secret", "a"], "--webhook is no URL; write .*", 2),
        (["--port", "65536"], "--port: 65536 is not in the range .*", 2),
        (["--max-sessions", "0"], "--max-sessions: 0 is not in the range .*", 2),
        (["--codec", "av1"], "--codec: 'av1' is not one of .*", 2),
        (["--host", "203.0.113.7", "--token", "long-enough"], "203.0.113.7:0 cannot be .*", 1),
        (["--host", "no.such.host.invalid", "--token", "long-enough"], "--host no.such.*", 1),
    ],
)
def test_a_wrong_call_is_refused(
    program: Program, arguments: list[str], sentence: str, status: int
) -> None:
    said = program.refused("serve", "--port", "0", *arguments, "--backend", "puppet", status=status)
    assert re.fullmatch(sentence, said), said


def test_a_used_port_is_named(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = program.refused("serve", "--port", str(port))
    assert said == f"port {port} of 127.0.0.1 is in use; choose another one with --port."


def test_a_missing_package_is_named(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.server.required_packages.find_spec", lambda name: None)
    said = program.refused("serve")
    assert said == f"the server needs aiortc; run `{install_command('server')}`."


def test_a_folder_that_cannot_be_made_is_named(program: Program) -> None:
    Path("file").write_text("")
    said = program.refused("serve", "--data", "file/folder", "--port", "0")
    assert said == "--data file/folder cannot be used: not a directory; choose another folder."


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("avatar = 5", "avatar in [serve] is 5; write a text in quotes, or several in brackets"),
        ("avatar = ['a', 5]", "avatar in [serve] is ['a', 5]; write a text in quotes, or"),
        ("port = '1'", "port in [serve] is '1'; write a whole number"),
        ("rate-limit = 'x'", "rate-limit in [serve] is 'x'; write a number"),
        ("token = ['long-enough']", "token in [serve] is ['long-enough']; write a text in quotes"),
    ],
)
def test_a_wrong_setting_is_named(program: Program, content: str, sentence: str) -> None:
    Path("settings.toml").write_text(f"[serve]\n{content}\n")
    said = program.refused("--config", "settings.toml", "serve", status=2)
    assert said.startswith(f"--config settings.toml: {sentence}"), said


def test_variables_and_files_set_the_same(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("settings.toml").write_text('[serve]\norigin = ["bad"]\navatar = "a=nobody.png"\n')
    said = program.refused("--config", "settings.toml", "serve", status=2)
    assert said.startswith("--origin: 'bad' is no origin")
    monkeypatch.setenv("LIPSTREAM_ORIGIN", "https://one.example.org https://two.example.org")
    monkeypatch.setenv("LIPSTREAM_AVATARS", "a=one.png:b=two.png")
    monkeypatch.setenv("LIPSTREAM_PORT", "0")
    assert program.refused("serve").startswith("one.png does not exist")


@pytest.mark.slow
def test_a_server_from_its_first_line_to_its_last(portrait: Path) -> None:
    with serving("--avatar", f"face={portrait}", "--token", "right-token") as server:
        assert server.get("/readyz") == (200, {"status": "ready"})
        assert server.get("/v1/config")[1]["auth"] is True
        status, body = server.get("/v1/avatars")
        assert status == 401 and body["error"]["code"] == "unauthorized"
        right = {"Authorization": "Bearer right-token"}
        (avatar,) = server.get("/v1/avatars", **right)[1]["avatars"]
        assert (avatar["id"], avatar["status"]) == ("face", "ready")
        assert server.get("/v1/sessions", {"avatar": "face"}, **right)[0] == 201
        status, said = server.end(signal.SIGTERM)
    assert status == 0
    assert "right-token" not in said
    assert said.startswith("preparing face\n")
    events = re.findall(r'event=("[^"]*"|\S+)', said)
    assert events == ['"session opened"', "draining", "stopping", '"session closed"']
    assert re.search(
        r"event=draining sessions=1 speaking=0 deadline=\d{4}-\d\d-\d\dT[\d:]{8}Z", said
    )


@pytest.mark.slow
def test_events_can_be_json(portrait: Path) -> None:
    call = ("--avatar", f"face={portrait}", "--log-format", "json")
    with serving(*call) as server:
        server.get("/v1/sessions", {"avatar": "face"})
        status, said = server.end(signal.SIGINT)
    assert status == 0
    events = [json.loads(line) for line in said.splitlines()]
    assert [event["event"] for event in events][0] == "session opened"
    assert all(event["level"] == "info" for event in events)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
def test_a_hung_drawing_process_does_not_keep_the_server(portrait: Path) -> None:
    with serving("--avatar", f"face={portrait}", "--draw-processes", "2") as server:
        server.get("/v1/sessions", {"avatar": "face"})
        drawing = psutil.Process(server.process.pid).children()
        assert len(drawing) == 2
        for process in drawing:
            process.send_signal(signal.SIGSTOP)
        server.process.send_signal(signal.SIGTERM)
        assert server.end(signal.SIGINT)[0] in (0, 1)
        assert not psutil.wait_procs(drawing, PATIENCE_S)[1]


@pytest.mark.slow
def test_speech_is_finished_unless_told_twice(portrait: Path, tmp_path: Path) -> None:
    """A session with speech that waits for its viewer, who is on the way, keeps the server until
    the second signal."""
    wav = write_wav(tmp_path / "a.wav", (tone(20, 8_000) * 9_000).astype("int16"), 8_000)
    with serving("--avatar", f"face={portrait}") as server:
        made = server.get("/v1/sessions", {"avatar": "face"})[1]
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        body = head + wav.read_bytes() + b"\r\n--b--\r\n"
        request = urllib.request.Request(server.url + made["speech_url"], body)
        request.add_header("Content-Type", "multipart/form-data; boundary=b")
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            assert answer.status == 202
        until_ms(server, made["id"])
        request = urllib.request.Request(server.url + made["whep_url"], asyncio.run(offer()))
        request.add_header("Content-Type", "application/sdp")
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            assert answer.status == 201
        server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_S
        while server.get("/readyz")[0] != 503 and time.monotonic() < deadline:
            pass
        status, body_ = server.get("/v1/sessions", {"avatar": "face"})
        assert (status, body_["error"]["code"]) == (503, "stopping")
        assert server.process.poll() is None
        status, said = server.end(signal.SIGTERM)
        assert status == 0 and "event=draining sessions=1 speaking=1 deadline=" in said


async def offer() -> bytes:
    """The SDP of a viewer who comes no further than that."""
    viewer = Viewer()
    try:
        return (await viewer.offer()).encode()
    finally:
        await viewer.close()


def until_ms(server: Serving, session_id: str) -> None:
    """Wait until speech waits in the session."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if server.get(f"/v1/sessions/{session_id}")[1]["buffered_ms"] > 0:
            return


def test_what_it_says_is_one_sentence(program: Program) -> None:
    outcome = program.call("serve", "--avatar", "nobody.png", "--backend", "puppet", "--port", "0")
    assert (
        outcome.status == 1
        and sentence_in(outcome.err) == "nobody.png does not exist; check the name."
    )
    assert os.listdir() == []
