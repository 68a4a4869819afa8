"""A quarter of an hour of one live session in a real browser: does sound stay with the picture?

    python -m benchmarks.cpu.soak [--minutes M] [--out FILE]

Each half minute the page sends eight beeps and measures picture minus sound as a viewer gets them
(the test backend lights a bar while it hears a beep). Prints a row a minute, then the trend of the
offset, and what queued up in the server and in the browser. Needs Chromium and the dev tools.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import describe
from tests.browser.chromium import find_chromium, open_chromium
from tests.browser.figures import offsets
from tests.browser.server_process import ServerProcess, start_server
from tests.browser.viewer_page import AVATAR, ViewerPage

if TYPE_CHECKING:
    from playwright.async_api import Browser

BEEPS, BEEP_MS = 8, 200
ROUND_S = 30.0
SETTLE_S = 6.0
SESSION = f"{AVATAR}.session.id"


@dataclass(frozen=True, slots=True)
class Round:
    """The measurements of half a minute."""

    minute: float
    offsets: list[float]  # ms, picture minus sound
    fps: float
    freezes: int
    video_buffer_ms: float  # held by the browser, mean
    audio_buffer_ms: float
    waiting_ms: float  # speech that waits in the server, after the beeps
    late: int  # units of the session so far
    repeated: int


async def soak(browser: Browser, server: ServerProcess, minutes: float) -> list[Round]:
    """Rounds until the time is over."""
    viewer = await ViewerPage.blank(browser)
    await viewer.open(server.address, server.token)
    rounds: list[Round] = []
    chance = random.Random(1)
    try:
        await viewer.start()
        await viewer.watch()
        await asyncio.sleep(SETTLE_S)
        identity = str(await viewer.page.evaluate(SESSION))
        began = time.monotonic()
        while time.monotonic() - began < 60 * minutes:
            due = began + ROUND_S * (len(rounds) + 1)
            minute = (time.monotonic() - began) / 60
            before, seen = await viewer.stats(), await viewer.record()
            for _ in range(BEEPS):
                await viewer.beep(BEEP_MS)
                await asyncio.sleep(0.8 + 0.2 * chance.random())
            state = await _state(server, identity)
            await asyncio.sleep(max(due - time.monotonic(), 0))
            after, now = await viewer.stats(), await viewer.record()
            found = offsets(now.opened[len(seen.opened) :], now.sounds[len(seen.sounds) :])
            seconds = (now.now - seen.now) / 1000
            video, was = after["video"], before["video"]
            rounds.append(
                Round(
                    minute,
                    found,
                    (video["framesDecoded"] - was["framesDecoded"]) / seconds,
                    video["freezeCount"],
                    _buffer(video, was),
                    _buffer(after["audio"], before["audio"]),
                    state["buffered_ms"],
                    state["late"],
                    state["repeated"],
                )
            )
            print(_row(rounds[-1]), flush=True)
    finally:
        await viewer.close()
    return rounds


async def _state(server: ServerProcess, identity: str) -> dict[str, Any]:
    import httpx

    headers = {"Authorization": f"Bearer {server.token}"}
    async with httpx.AsyncClient(headers=headers) as client:
        answer = await client.get(f"{server.address}/v1/sessions/{identity}")
    answer.raise_for_status()
    return dict(answer.json())


def _buffer(now: dict[str, Any], before: dict[str, Any]) -> float:
    """Mean delay of the browser's jitter buffer between two statistics, ms."""
    count = now["jitterBufferEmittedCount"] - before["jitterBufferEmittedCount"]
    return float(1000 * (now["jitterBufferDelay"] - before["jitterBufferDelay"]) / max(count, 1))


def _row(one: Round) -> str:
    middle = float(np.median(one.offsets)) if one.offsets else float("nan")
    return (
        f"{one.minute:6.1f}{middle:10.1f}{one.fps:8.2f}{one.freezes:9d}{one.video_buffer_ms:10.1f}"
        f"{one.audio_buffer_ms:10.1f}{one.waiting_ms:10.0f}{one.late:7d}{one.repeated:9d}"
    )


def steady_trend(rounds: list[Round]) -> float:
    """Milliseconds per hour: the median slope between any two half minutes (Theil and Sen).

    A stall of the machine moves a few half minutes, and with them a straight line; not this.
    """
    middles = [(one.minute / 60, float(np.median(one.offsets))) for one in rounds if one.offsets]
    slopes = [
        (later - earlier) / (end - start)
        for (start, earlier), (end, later) in combinations(middles, 2)
    ]
    return float(np.median(slopes))


def trend(rounds: list[Round]) -> tuple[float, float]:
    """Milliseconds per hour by which the offset wanders, and the standard error of that."""
    points = [(one.minute / 60, offset) for one in rounds for offset in one.offsets]
    hours, values = np.array(points).T
    design = np.stack([np.ones_like(hours), hours], 1)
    (start, slope), *_ = np.linalg.lstsq(design, values, rcond=None)
    left = values - start - slope * hours
    spread = np.sqrt(left @ left / (len(values) - 2)) / np.sqrt(((hours - hours.mean()) ** 2).sum())
    return float(slope), float(spread)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--out", type=Path, help="write all figures here as JSON")
    options = parser.parse_args()
    if options.minutes < 1:
        parser.error("--minutes must be at least 1: a trend needs two half minutes.")
    path = find_chromium()
    if path is None:
        sys.exit("there is no chromium; install it and run again.")
    print(
        f"{'minute':>6}{'offset ms':>10}{'fps':>8}{'freezes':>9}{'video buf':>10}{'audio buf':>10}"
        f"{'waiting':>10}{'late':>7}{'repeated':>9}"
    )
    avatar = "face=examples/portrait_closed.png"
    with open_chromium(path) as chromium, start_server(avatar) as server:
        work = soak(chromium.browser, server, options.minutes)
        rounds = chromium.run(work, limit=60 * options.minutes + 120)
    slope, error = trend(rounds)
    every = np.array([offset for one in rounds for offset in one.offsets])
    print(
        f"\noffset: median {np.median(every):.1f} ms, p95 of its size "
        f"{np.percentile(np.abs(every), 95):.1f} ms, trend {slope:+.1f} ms per hour "
        f"(standard error {error:.1f}; between half minutes {steady_trend(rounds):+.1f}), "
        f"{len(every)} beeps"
    )
    if options.out:
        report = {
            "machine": describe(),
            "trend_ms_per_hour": slope,
            "standard_error": error,
            "steady_trend_ms_per_hour": steady_trend(rounds),
            "rounds": [asdict(one) for one in rounds],
        }
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
