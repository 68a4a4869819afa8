"""What one process has measured, the others of the machine need not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lipstream.avatar.avatar import Avatar
from lipstream.server.admission import Cost
from lipstream.server.avatars import cost_cache
from lipstream.server.avatars.cost_cache import CostCache
from lipstream.server.settings import ServeSettings
from tests.fakes import blank_avatar
from tests.server.app_client import AppClient, run_client
from tests.server.fake_runtime import FakeRuntime

COST = Cost(10.0, 2.0, 0.1)


@dataclass
class CountingRuntime(FakeRuntime):
    """Keeps what was measured."""

    measured: list[Avatar] = field(default_factory=list)

    def measure(self, avatar: Avatar, like: Cost | None = None) -> Cost:
        self.measured.append(avatar)
        return self.cost


def test_the_second_worker_does_not_measure(tmp_path: Path) -> None:
    async def test(client: AppClient) -> None:
        assert (await client.http.get("/v1/config")).json()["max_sessions"] == 3

    settings = ServeSettings(rate=0, cores=8, costs=tmp_path / "costs")
    runtimes = [CountingRuntime() for _ in range(2)]
    for runtime in runtimes:
        run_client(test, settings, runtime=runtime)
    assert [len(runtime.measured) for runtime in runtimes] == [1, 0]


def test_of_two_measurements_the_lower_counts(tmp_path: Path) -> None:
    avatar, cache = blank_avatar(), CostCache(tmp_path, "puppet")
    cache.keep(avatar, COST)
    cache.keep(avatar, Cost(12.0, 1.5, 0.2))
    assert cache.find(avatar) == Cost(10.0, 1.5, 0.1)
    assert CostCache(tmp_path, "musetalk").find(avatar) is None
    assert cache.find(blank_avatar(64, 32)) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"drawing": 1}', '{"drawing": NaN}', "\0"])
def test_a_damaged_file_is_none(tmp_path: Path, content: str) -> None:
    avatar, cache = blank_avatar(), CostCache(tmp_path)
    cache.keep(avatar, COST)
    (path,) = tmp_path.iterdir()
    path.write_text(content)
    assert cache.find(avatar) is None
    cache.keep(avatar, COST)
    assert cache.find(avatar) == COST


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = CostCache(tmp_path / "file" / "costs")
    cache.keep(blank_avatar(), COST)
    assert cache.find(blank_avatar()) is None


def test_the_oldest_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_cache, "MAX_KEPT", 3)
    for width in range(16, 24):
        CostCache(tmp_path).keep(blank_avatar(width, 16), COST)
    assert len(list(tmp_path.iterdir())) == 3
