"""Avatars are uploaded and prepared while sessions are live: no picture stands still."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from lipstream.avatar.builder import open_avatar
from lipstream.config import AvatarConfig, RuntimeOptions
from lipstream.engine import Engine
from lipstream.live.session.types import Unit
from lipstream.rendering.puppet.worker_pool import workers_supported
from lipstream.rendering.registry import open_backend
from lipstream.server.avatars.decoders import MAX_PROCESSES
from lipstream.timeline import UNIT_MS
from tests.server.live_client import LiveClient, open_live
from tests.timed import judge, measure_until

EXAMPLES = Path(__file__).parents[2] / "examples"
MAX_GAP_MS = 120
QUIET_S = 8.0  # without uploads, and with them
TOLERATED = 2  # of 200 frames: what chance takes on two cores

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not workers_supported(), reason="open files cannot be handed on here"),
]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("portrait_closed.png", "image/png"),
        pytest.param("idle.mp4", "video/mp4", marks=pytest.mark.load),
    ],
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
        async with open_live(engine, {"face": face}, measures=True) as live:
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


@pytest.mark.load
def test_sixteen_uploads_at_once_cost_a_viewer_no_more_frames_than_none() -> None:
    """Of the frames of a session, as many are missed while files are opened as before."""
    face = open_avatar(EXAMPLES / "portrait.png", AvatarConfig(max_side=512))
    content = (EXAMPLES / "portrait_closed.png").read_bytes()

    async def scenario(engine: Engine) -> tuple[int, int, int]:
        async with open_live(engine, {"face": face}, measures=True) as live:
            _, units = await live.open()
            most = 0

            async def upload(n: int) -> int:
                files = {"file": (f"{n}.png", content, "image/png")}
                return (await live.http.post("/v1/avatars", files=files)).status_code

            await asyncio.sleep(1.0)
            before = len(units)
            await asyncio.sleep(QUIET_S)
            quiet = missed(units[before:])
            before = len(units)
            uploads = [asyncio.create_task(upload(n)) for n in range(16)]
            end = asyncio.get_running_loop().time() + QUIET_S
            while asyncio.get_running_loop().time() < end:
                most = max(most, decoding())
                await asyncio.sleep(0.05)
            busy = missed(units[before:])
            assert set(await asyncio.gather(*uploads)) <= {202, 503}
            return quiet, busy, most

    def measure() -> tuple[int, int, int]:
        runtime = RuntimeOptions(live=True, pixel_format="i420")
        backend = open_backend("puppet", runtime=runtime, processes=2)
        try:
            return asyncio.run(asyncio.wait_for(scenario(Engine(backend)), 100))
        finally:
            backend.close()

    def passed(counts: tuple[int, int, int]) -> bool:
        quiet, busy, _ = counts
        return busy <= quiet + TOLERATED

    measured = measure_until(measure, passed)
    assert all(0 < one.value[2] <= MAX_PROCESSES for one in measured)
    judge(passed(measured[-1].value), measured, [one.value for one in measured])


def missed(units: list[Unit]) -> int:
    """Units that show the picture before once more, and those left out."""
    skipped = units[-1].index - units[0].index + 1 - len(units)
    return skipped + sum(not unit.fresh for unit in units)


def decoding() -> int:
    """Processes of this one that open uploads at this moment."""
    found = 0
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            found += any("avatars.sandbox" in part for part in child.cmdline())
    return found


def longest_gap_ms(units: list[Unit]) -> int:
    """The longest time for which one picture was shown."""
    gap = longest = UNIT_MS
    for unit in units:
        gap = UNIT_MS if unit.fresh else gap + UNIT_MS
        longest = max(longest, gap)
    return longest
