"""`lipstream stream` into Debian's nginx with its module for RTMP, which records what it takes."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

from tests.cli.program import COMMAND
from tests.polling import poll

pytestmark = [pytest.mark.clients, pytest.mark.alone]

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
ROOT = Path(__file__).resolve().parents[2]
CONFIG = """load_module {module};
worker_processes 1; daemon off; user root; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{
    live on; record all; record_path {folder}; record_unique on; record_suffix .flv; }} }} }}
"""


@contextmanager
def nginx(folder: Path, port: int) -> Iterator[None]:
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(module=MODULE, folder=folder, port=port))
    call = ["/usr/sbin/nginx", "-p", str(folder), "-c", str(config)]
    with subprocess.Popen(call, stderr=subprocess.DEVNULL) as process:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        poll(listens, 20, lambda: (folder / "error.log").read_text())
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture
def port() -> int:
    if not MODULE.exists():
        pytest.skip("nginx has no RTMP here; scripts/install_clients brings it where it may")
    with socket.create_server(("127.0.0.1", 0)) as free:
        found: int = free.getsockname()[1]
    return found


def stream(port: int, *more: str) -> list[str]:
    call = [*COMMAND, "stream", "--backend", "puppet", "--to", f"rtmp://127.0.0.1:{port}/live/key"]
    return [*call, "--avatar", str(ROOT / "examples/portrait_closed.png"), *more]


def times(file: Path) -> tuple[list[float], list[float]]:
    """When pictures are shown and pieces of sound begin, by the recording."""
    found: dict[str, list[float]] = {"video": [], "audio": []}
    with av.open(str(file)) as container:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base is not None:
                found[packet.stream.type].append(float(packet.pts * packet.time_base))
    return found["video"], found["audio"]


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
    sent, left_out = map(int, re.findall(r"\d+(?= units| left)", out))
    assert sent + left_out == 14 * 25 and left_out > 0  # the session lost none
