"""`lipstream stream` into Debian's nginx with its module for RTMP, which records what it takes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.program import COMMAND
from tests.polling import poll
from tests.push.nginx import free_port, nginx, times
from tests.push.tls_proxy import CERTIFICATE, tls_before

pytestmark = [pytest.mark.clients, pytest.mark.alone]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def port() -> int:
    return free_port()


def stream(port: int, *more: str) -> list[str]:
    call = [*COMMAND, "stream", "--backend", "puppet", "--to", f"rtmp://127.0.0.1:{port}/live/key"]
    return [*call, "--avatar", str(ROOT / "examples/portrait_closed.png"), *more]


def test_twenty_seconds_arrive_at_25_frames_a_second(tmp_path: Path, port: int) -> None:
    speech = ["--audio", str(ROOT / "examples/speech.wav"), "--seconds", "20"]
    with nginx(tmp_path, port):
        done = subprocess.run(stream(port, *speech), capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        (file,) = tmp_path.glob("*.flv")
    shown, heard = times(file)
    rate, apart = (len(shown) - 1) / (shown[-1] - shown[0]), abs(shown[0] - heard[0])
    print(f"{rate:.2f} fps, start {1000 * apart:.0f} ms apart, {done.stdout.strip()}")
    assert rate == pytest.approx(25, abs=0.2) and apart <= 0.06
    assert shown[-1] - shown[0] == pytest.approx(20, abs=0.3)
    assert heard[-1] - heard[0] == pytest.approx(20, abs=0.3)


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_needs_a_certificate_that_is_trusted(
    tmp_path: Path, port: int, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nginx(tmp_path, port), tls_before(port, tmp_path) as secure:
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / CERTIFICATE))
        call = stream(secure, "--seconds", "2")
        call[call.index("--to") + 1] = f"rtmps://localhost:{secure}/live/key"
        with subprocess.Popen(call, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            if trusted:
                assert process.wait(60) == 0, process.stderr.read()
                poll(lambda: any(tmp_path.glob("*.flv")), 20, lambda: "nothing was recorded")
            else:
                said = [process.stderr.readline() for _ in range(2)]
                process.kill()
                assert any("localhost: its certificate is not trusted: " in one for one in said), (
                    said
                )
                assert not any(tmp_path.glob("*.flv"))


def test_a_stream_that_is_not_taken_says_what_to_check(tmp_path: Path, port: int) -> None:
    call = stream(port, "--seconds", "2")
    call[call.index("--to") + 1] = f"rtmp://127.0.0.1:{port}/nosuch/key"
    with (
        nginx(tmp_path, port),
        subprocess.Popen(call, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr is not None
        said = process.stderr.readline()
        process.kill()
    assert "it does not take the stream; check what follows the host" in said


def test_a_server_that_dies_is_found_again_and_the_session_goes_on(
    tmp_path: Path, port: int
) -> None:
    call = stream(port, "--seconds", "14")
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        with nginx(tmp_path, port):
            poll(lambda: any(tmp_path.glob("*.flv")), 40, lambda: "nothing was recorded")
        with nginx(tmp_path, port):
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert len(list(tmp_path.glob("*.flv"))) >= 2
    assert "trying again in 1 s." in err and "key" not in err
    sent, left_out = map(int, re.findall(r"\d+(?= frames| left)", out))
    assert sent + left_out == 14 * 25 and left_out > 0  # the session lost none
