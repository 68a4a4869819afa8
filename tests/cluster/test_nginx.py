"""nginx before two workers, by the configuration that is printed for it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from lipstream.cluster.nginx import nginx_configuration
from lipstream.server.dialects.liveavatar.addresses import BASE
from lipstream.server.settings import ServeSettings
from tests.polling import poll
from tests.room_tokens import jwt
from tests.server.http_server import open_server

ROOMS = "wss://rooms.example.org"
MAIN = (
    "daemon off; pid {0}/pid; error_log {0}/error.log; worker_processes 1; events {{}}\nhttp {{\n"
)
PATHS = "".join(
    f"{name}_temp_path {{0}}/{name};\n"
    for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


def test_each_worker_is_a_server_and_a_pin() -> None:
    workers = {"w1": "http://10.0.0.1:8080", "w2": "http://10.0.0.2:8080"}
    text = nginx_configuration(workers, "0.0.0.0:80", 64)
    for line in (
        "server 10.0.0.1:8080 max_fails=0;",
        '-w2[/ ]" 10.0.0.2:8080;',
        "listen 0.0.0.0:80;",
    ):
        assert line in text


@contextmanager
def nginx(workers: dict[str, str], folder: Path) -> Iterator[str]:
    """nginx before the workers: its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    config = folder / "nginx.conf"
    own = nginx_configuration(workers, listen, 64)
    config.write_text((MAIN + "access_log off;\n" + PATHS).format(folder) + own + "}\n")
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    with subprocess.Popen([program, "-p", str(folder), "-c", str(config)]) as process:
        try:
            url = f"http://{listen}"

            def answers() -> bool:
                try:
                    return httpx.get(f"{url}/healthz").status_code == 200
                except httpx.TransportError:
                    return False

            poll(answers, 20, lambda: (folder / "error.log").read_text())
            yield url
        finally:
            process.terminate()


@pytest.mark.clients
@pytest.mark.skipif(
    not (shutil.which("nginx") or Path("/usr/sbin/nginx").exists()), reason="there is no nginx"
)
def test_nginx_places_pins_and_tries_the_next(tmp_path: Path) -> None:
    with ExitStack() as stack:
        workers = {}
        for worker in ("w1", "w2"):
            settings = ServeSettings(
                rate=0, worker_id=worker, max_sessions=2, cores=8, livekit=(ROOMS,)
            )
            workers[worker] = stack.enter_context(open_server(settings)).url
        url = stack.enter_context(nginx(workers, tmp_path))
        with httpx.Client(base_url=url) as client:
            opened = [client.post("/v1/sessions", json={"avatar": "face"}) for _ in range(5)]
            assert [answer.status_code for answer in opened] == [201] * 4 + [503]
            ids = [answer.json()["id"] for answer in opened[:4]]
            assert Counter(id[33:] for id in ids) == {"w1": 2, "w2": 2}
            for id in ids * 5:
                assert client.get(f"/v1/sessions/{id}").status_code == 200
            for id in ids:
                client.delete(f"/v1/sessions/{id}")
            _speak_as_liveavatar(client)


def _speak_as_liveavatar(client: httpx.Client) -> None:
    """Sessions that requests name by their token alone reach their worker, sockets too."""
    token = jwt(attributes={"lk.publish_on_behalf": "agent"})
    room = {"livekit_url": ROOMS, "livekit_client_token": token}
    body = {"avatar_id": "face", "livekit_config": room}
    opened = [client.post(f"{BASE}/token", json=body).json()["data"] for _ in range(4)]
    assert Counter(one["session_id"][33:] for one in opened) == {"w1": 2, "w2": 2}
    for one in opened:
        bearer = {"Authorization": f"Bearer {one['session_token']}"}
        started = client.post(f"{BASE}/start", headers=bearer)
        assert started.status_code == 200, started.text
        with connect(started.json()["data"]["ws_url"]) as talking:
            assert "connected" in str(talking.recv(timeout=10))
        assert client.post(f"{BASE}/stop", headers=bearer).status_code == 200
