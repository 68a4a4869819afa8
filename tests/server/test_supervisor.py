"""A fault of what draws is reported at once, refuses new sessions and ends those it lasts for."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from lipstream.engine import Engine
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.settings import ServeSettings
from tests.fakes import stripe_backend
from tests.server.app_client import AppClient, run_client, until

FAULT = "no drawing process is running; they are started again."


async def metric(client: AppClient, name: str) -> float:
    """The value of one metric without labels."""
    lines = (await client.metrics()).splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


def test_a_fault_is_reported_and_new_sessions_are_refused() -> None:
    async def test(client: AppClient) -> None:
        assert (await client.worker.get("/readyz")).status_code == 200
        assert await metric(client, "lipstream_scheduler_up") == 1
        client.runtime.fault, client.runtime.restarts = FAULT, 2
        client.runtime.nonfinite_faces = 5
        for answer in (
            await client.worker.get("/readyz"),
            await client.http.post("/v1/sessions", json={"avatar": "face"}),
        ):
            assert answer.status_code == 503
            assert answer.json()["error"] == {"code": "fault", "message": FAULT}
        assert await metric(client, "lipstream_scheduler_up") == 0
        assert await metric(client, "lipstream_worker_restarts") == 2
        assert await metric(client, "lipstream_nonfinite_faces") == 5
        assert (await client.http.get("/healthz")).status_code == 200
        client.runtime.fault = None
        assert (await client.worker.get("/readyz")).status_code == 200
        await client.open()

    run_client(test)


def test_a_fault_that_heals_costs_no_session() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        await client.connect(made)
        client.runtime.fault = FAULT
        await client.pass_time(3)
        client.runtime.fault = None
        await client.pass_time(10)
        assert (await client.http.get(f"/v1/sessions/{made['id']}")).status_code == 200

    run_client(test)


def test_a_fault_that_lasts_ends_all_sessions_as_failed() -> None:
    async def test(client: AppClient) -> None:
        made = [await client.open() for _ in range(2)]
        for session in made:
            await client.connect(session)
        client.runtime.fault = FAULT
        await client.pass_time(7)
        assert len(client.manager) == 0
        metrics = await client.metrics()
        assert 'lipstream_sessions_closed_total{reason="failed"} 2.0' in metrics

    run_client(test, ServeSettings(rate=0, connect_timeout_s=600, cores=8))


def test_a_scheduler_whose_thread_dies_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)

    def die(*_: Any) -> None:
        raise SystemError("a fault that no step survives")

    async def test() -> None:
        runtime = MediaRuntime(Engine(stripe_backend()), ServeSettings())
        scheduler = runtime._scheduler
        monkeypatch.setattr(scheduler, "_guarded_step", die)
        monkeypatch.setattr(scheduler, "_needed", lambda: True)
        assert runtime.fault is None
        runtime.start()
        await asyncio.wait_for(until(lambda: runtime.fault is not None), 10)
        assert runtime.fault is not None and "thread has ended" in runtime.fault
        await asyncio.wait_for(runtime.close(), 10)

    asyncio.run(test())
