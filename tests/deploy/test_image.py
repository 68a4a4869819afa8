"""The shipped Dockerfile, built and run: a viewer sees pictures from inside the image."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.buildah import Buildah, missing_tools
from tests.server.viewers import Viewer

pytestmark = [pytest.mark.containers, pytest.mark.alone]

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "localhost/lipstream:test"
TOKEN = "an-image-for-a-test"
START_S = 120


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """With the image built, by root, as the isolation asks for it."""
    if missing := missing_tools():
        pytest.skip(f"install {' and '.join(missing)}, see scripts/install_clients")
    folder = tmp_path_factory.mktemp("images")
    images = Buildah(folder)
    images.make_base()
    images.build(ROOT, IMAGE)
    yield images
    shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until_ready(client: httpx.Client, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the container ended with {process.returncode}"
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.2)
    pytest.fail(f"the server was not ready within {START_S} s")


async def watch(address: str) -> None:
    """Connect to the first avatar and wait for a second of pictures."""
    viewer = Viewer()
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/sdp"}
    try:
        async with httpx.AsyncClient(headers=headers, timeout=30) as client:
            answer = await client.post(f"{address}/whep", content=await viewer.offer())
        assert answer.status_code == 201, answer.text
        await viewer.take(answer.text)
        await viewer.until(25)
    finally:
        await viewer.close()


def test_a_viewer_sees_pictures_from_inside_the_image(buildah: Buildah) -> None:
    port = free_port()
    settings = (f"LIPSTREAM_TOKEN={TOKEN}", f"LIPSTREAM_PORT={port}", "LIPSTREAM_HOST=127.0.0.1")
    with (
        buildah.running(IMAGE, settings, ["lipstream", "serve"]) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        wait_until_ready(client, process)
        client.headers["authorization"] = f"Bearer {TOKEN}"
        names = [one["name"] for one in client.get("/v1/avatars").json()["avatars"]]
        assert names == ["Eileen", "Painting", "Clip"]
        config = client.get("/v1/config").json()
        assert config["say"] and config["backend"] == "puppet"
        asyncio.run(watch(str(client.base_url).rstrip("/")))


def test_the_image_belongs_to_nobody_in_particular(buildah: Buildah) -> None:
    with buildah.running(IMAGE, (), ["id", "-u"]) as process:
        assert process.stdout is not None and process.stdout.read().strip() == "10001"


def test_an_address_for_everybody_needs_a_token(buildah: Buildah) -> None:
    with buildah.running(IMAGE, (), ["sh", "-c", "lipstream serve 2>&1"]) as process:
        assert process.stdout is not None
        assert "--token" in process.stdout.read()
        assert process.wait(60) == 2
