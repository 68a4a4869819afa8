"""Debian's nginx with its module for RTMP, which records what it takes."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

from tests.polling import poll

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
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


def free_port() -> int:
    """A port for it; skips the test where it is not installed."""
    if not MODULE.exists():
        pytest.skip("nginx has no RTMP here; scripts/install_clients brings it where it may")
    with socket.create_server(("127.0.0.1", 0)) as free:
        found: int = free.getsockname()[1]
    return found


def times(file: Path) -> tuple[list[float], list[float]]:
    """When pictures are shown and pieces of sound begin, by the recording."""
    found: dict[str, list[float]] = {"video": [], "audio": []}
    with av.open(str(file)) as container:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base is not None:
                found[packet.stream.type].append(float(packet.pts * packet.time_base))
    return found["video"], found["audio"]
