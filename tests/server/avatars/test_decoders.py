"""Few files are opened at once, and those who wait have not sent theirs yet."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lipstream.server.admission import Cost
from lipstream.server.avatars import uploads
from lipstream.server.avatars.decoders import MAX_FILES, MAX_PROCESSES, Decoders
from lipstream.server.avatars.sandbox import DecodeJob
from lipstream.server.errors import ApiError
from lipstream.server.settings import UploadLimits
from tests.server.app_client import PATIENCE_S, AppClient, run_client, until
from tests.server.fake_runtime import FakeRuntime

BOUNDARY = "b"
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
    "Content-Type: image/png\r\n\r\n"
).encode()
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
JOB = DecodeJob("speech", "a.wav", "out", UploadLimits(), 0)


class Processes:
    """Stands in for `run_isolated`: counts, and waits until it is let go."""

    def __init__(self) -> None:
        self.running = self.most = self.done = 0
        self.go = asyncio.Event()

    async def __call__(self, *_: Any) -> dict[str, Any]:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.go.wait()
        self.running -= 1
        self.done += 1
        return {"samples": 0}


@pytest.mark.parametrize(("cores", "most"), [(1, 1), (2, 2), (64, MAX_PROCESSES)])
def test_no_more_processes_than_places(
    monkeypatch: pytest.MonkeyPatch, cores: int, most: int
) -> None:
    async def test() -> None:
        processes = Processes()
        monkeypatch.setattr("lipstream.server.avatars.decoders.run_isolated", processes)
        decoders = Decoders(cores)
        jobs = [asyncio.create_task(decoders.run(JOB, Path())) for _ in range(20)]
        await until(lambda: processes.running == most)
        jobs[most].cancel()  # one that waits
        processes.go.set()
        await asyncio.gather(*jobs, return_exceptions=True)
        assert (processes.most, processes.done) == (most, 19)
        assert await asyncio.wait_for(decoders.run(JOB, Path()), 5) == {"samples": 0}

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))


def test_nobody_waits_for_a_process_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        processes = Processes()
        monkeypatch.setattr("lipstream.server.avatars.decoders.run_isolated", processes)
        decoders = Decoders(1)
        first = asyncio.create_task(decoders.run(JOB, Path()))
        await until(lambda: processes.running == 1)
        with pytest.raises(ApiError, match="too many files") as refused:
            await decoders.run(JOB, Path(), patience_s=0.01)
        assert refused.value.status_code == 503 and "Retry-After" in (refused.value.headers or {})
        processes.go.set()
        await first

    asyncio.run(asyncio.wait_for(test(), PATIENCE_S))


@pytest.mark.parametrize("what", ["avatars", "speech"])
def test_a_file_too_many_is_refused_before_it_is_read(what: str) -> None:
    """Sixteen bodies are on their way; the next request is answered without a look at its own."""

    async def test(client: AppClient) -> None:
        release, asked = asyncio.Event(), [0]

        async def body() -> AsyncIterator[bytes]:
            asked[0] += 1
            yield HEAD + b"no picture"
            await release.wait()
            yield f"\r\n--{BOUNDARY}--\r\n".encode()

        paths = ["/v1/avatars"] * (MAX_FILES + 1)
        if what == "speech":
            made = [await client.open() for _ in range(MAX_FILES // 4 + 1)]
            paths = [made[n // 4]["speech_url"] for n in range(MAX_FILES + 1)]

        async def send(path: str) -> Any:
            return await client.http.post(path, content=body(), headers=FORM)

        first = [asyncio.create_task(send(path)) for path in paths[:-1]]
        await until(lambda: asked[0] == MAX_FILES)
        refused = await send(paths[-1])
        assert refused.status_code == 503 and refused.json()["error"]["code"] == "busy"
        assert int(refused.headers["Retry-After"]) > 0
        assert asked[0] == MAX_FILES
        release.set()
        assert {answer.status_code for answer in await asyncio.gather(*first)} == {415}
        assert (await client.http.post(paths[-1], content=b"", headers=FORM)).status_code == 422

    run_client(test, runtime=FakeRuntime(cost=Cost(0.1, 0.1, 0.1)))


def test_the_process_gives_way_to_live_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = uploads.BOOT.partition("sys.path")[0] + "print(json.dumps({'done': os.nice(0)}))"
    monkeypatch.setattr(uploads, "BOOT", boot)
    job = DecodeJob("probe", "a", "out", UploadLimits(), 0)
    assert asyncio.run(uploads.run_isolated(job, tmp_path)) == min(os.nice(0) + 10, 19)


def test_the_processes_together_have_a_bound_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that prepares an avatar, and one of any other kind."""
    pytest.importorskip("resource")
    limits = UploadLimits()
    told = "import resource; limit = resource.getrlimit(resource.RLIMIT_DATA)[0]"
    confine = "from lipstream.server.avatars.sandbox import _confine, DecodeJob, UploadLimits"
    job = "fields = json.loads(sys.argv[2]); fields['limits'] = UploadLimits(**fields['limits'])"
    done = "print(json.dumps({'done': limit}))"
    start = uploads.BOOT.partition("from lipstream")[0]
    code = "\n".join([start, confine, job, "_confine(DecodeJob(**fields))", told, done])
    monkeypatch.setattr(uploads, "BOOT", code)

    def allowed(work: Any) -> int:
        asked = DecodeJob(work, "a", "out", limits, 0)
        return int(asyncio.run(uploads.run_isolated(asked, tmp_path)))

    assert allowed("avatar") + allowed("speech") == 1536 << 20
    assert allowed("probe") == allowed("speech") == limits.memory


def test_a_body_that_drips_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.server.security.rate_limit.CHUNK_TIMEOUT_S", 0.2)

    async def test(client: AppClient) -> None:
        async def body() -> AsyncIterator[bytes]:
            yield HEAD
            while True:
                await asyncio.sleep(0.05)
                yield b"."

        answer = await client.http.post("/v1/avatars", content=body(), headers=FORM)
        assert answer.status_code == 408
        assert json.loads(answer.content)["error"]["code"] == "too_slow"

    run_client(test)
