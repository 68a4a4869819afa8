"""The cost of an avatar: measured before it is ready, corrected, and forgotten with it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from lipstream.avatar.avatar import Avatar
from lipstream.server.admission import Cost
from lipstream.server.settings import ServeSettings
from tests.fakes import blank_avatar
from tests.server.app_client import AppClient, run_client, until
from tests.server.avatars.portraits import FACE, prepared
from tests.server.fake_runtime import FakeRuntime

pytestmark = pytest.mark.slow


class DearWhileBusy(FakeRuntime):
    """Measures ten times the cost while sessions are drawn."""

    def measure(self, avatar: Avatar, like: Cost | None = None) -> Cost:
        busy = sum(not session.closed for session in self.sessions) > 1
        return Cost(100.0, 2.0, 0.1) if busy else Cost(10.0, 2.0, 0.1)


def test_a_cost_measured_under_load_is_measured_again_when_calm() -> None:
    async def test(client: AppClient) -> None:
        async def limit() -> int:
            return int((await client.http.get("/v1/config")).json()["max_sessions"])

        at_rest = await limit()
        made = [await client.open() for _ in range(2)]
        await prepared(client, await client.http.post("/v1/avatars", files=FACE))
        assert await limit() == 1 < at_rest
        await client.http.delete(f"/v1/sessions/{made[0]['id']}")
        entry = client.app.state.registry.list(unlisted=True)[-1]
        await client.pass_time(6)
        await until(lambda: not entry.inflated)
        assert await limit() == at_rest

    settings = ServeSettings(rate=0, connect_timeout_s=600, cores=8)
    run_client(test, settings, runtime=DearWhileBusy())


def test_the_cost_of_a_deleted_avatar_is_forgotten() -> None:
    class Dear(FakeRuntime):
        def measure(self, avatar: Avatar, like: Cost | None = None) -> Cost:
            return Cost(100.0, 2.0, 0.1) if avatar.size == (256, 256) else self.cost

    async def test(client: AppClient) -> None:
        async def limit() -> int:
            return int((await client.http.get("/v1/config")).json()["max_sessions"])

        before = await limit()
        shown = await prepared(client, await client.http.post("/v1/avatars", files=FACE))
        assert await limit() == 1 < before
        await client.http.delete(f"/v1/avatars/{shown['id']}")
        assert await limit() == before

    run_client(test, ServeSettings(rate=0, cores=8), runtime=Dear())


@dataclass
class RecordingRuntime(FakeRuntime):
    """Keeps the size of each avatar that is measured, and the cost that it is measured like."""

    measured: list[tuple[tuple[int, int], Cost | None]] = field(default_factory=list)

    def measure(self, avatar: Avatar, like: Cost | None = None) -> Cost:
        self.measured.append((avatar.size, like))
        return Cost(10.0, len(self.measured), 0.1)


def test_only_the_first_avatar_of_a_size_is_measured_whole() -> None:
    runtime = RecordingRuntime()
    sizes = {"a": (32, 32), "b": (64, 32), "c": (32, 32)}

    async def test(client: AppClient) -> None:
        assert runtime.measured == [
            ((32, 32), None),
            ((64, 32), None),
            ((32, 32), Cost(10, 1, 0.1)),
        ]

    run_client(
        test, avatars={name: blank_avatar(*size) for name, size in sizes.items()}, runtime=runtime
    )


def test_no_avatar_is_measured_like_one_that_was_measured_under_load() -> None:
    runtime = RecordingRuntime()

    async def test(client: AppClient) -> None:
        for _ in range(2):
            await client.open()
        for _ in range(2):
            await prepared(client, await client.http.post("/v1/avatars", files=FACE))
        assert runtime.measured[1:] == [((256, 256), None)] * 2

    run_client(test, ServeSettings(rate=0, connect_timeout_s=600, cores=8), runtime=runtime)
