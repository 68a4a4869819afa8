"""An avatar is uploaded and prepared while three sessions are live: no picture stands still."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lipstream.avatar.builder import open_avatar
from lipstream.config import AvatarConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.live.session.types import Unit
from lipstream.rendering.puppet.worker_pool import workers_supported
from lipstream.rendering.registry import open_backend
from lipstream.timeline import UNIT_MS
from tests.server.live_client import LiveClient, open_live
from tests.timed import judge, measure_until

EXAMPLES = Path(__file__).parents[2] / "examples"
MAX_GAP_MS = 120

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not workers_supported(), reason="open files cannot be handed on here"),
]


@pytest.mark.parametrize(
    ("name", "kind"), [("portrait_closed.png", "image/png"), ("idle.mp4", "video/mp4")]
)
def test_no_picture_stands_still_while_an_avatar_is_uploaded(name: str, kind: str) -> None:
    face = open_avatar(EXAMPLES / "portrait.png", AvatarConfig(max_side=512))
    content = (EXAMPLES / name).read_bytes()

    async def upload(live: LiveClient) -> None:
        answer = await live.http.post("/v1/avatars", files={"file": (name, content, kind)})
        address = f"/v1/avatars/{answer.json()['id']}"
        status = "preparing"
        while status == "preparing":
            await asyncio.sleep(0.1)
            status = (await live.http.get(address)).json()["status"]
        assert status == "ready"

    async def scenario(engine: Engine) -> int:
        async with open_live(engine, {"face": face}) as live:
            viewers = [(await live.open())[1] for _ in range(3)]
            await asyncio.sleep(1.0)
            first = [len(units) for units in viewers]
            await upload(live)
            await asyncio.sleep(0.5)
            return max(longest_gap_ms(units[n:]) for units, n in zip(viewers, first, strict=True))

    def measure() -> int:
        runtime = RuntimeOptions(live=True, pixel_format="i420")
        backend = open_backend("puppet", runtime=runtime, processes=2)
        try:
            return asyncio.run(asyncio.wait_for(scenario(Engine(backend)), 100))
        finally:
            backend.close()

    measured = measure_until(measure, lambda gap_ms: gap_ms <= MAX_GAP_MS)
    values = [one.value for one in measured]
    judge(values[-1] <= MAX_GAP_MS, measured, values)


def longest_gap_ms(units: list[Unit]) -> int:
    """The longest time for which one picture was shown."""
    gap = longest = UNIT_MS
    for unit in units:
        gap = UNIT_MS if unit.fresh else gap + UNIT_MS
        longest = max(longest, gap)
    return longest
