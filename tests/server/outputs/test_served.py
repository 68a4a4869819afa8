"""A real server that records what a real viewer saw, and is ended meanwhile."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import av
import httpx
import numpy as np
import pytest

from tests.cli.serving import serving
from tests.media_files import tone
from tests.server.app_client import SDP
from tests.server.viewers import Viewer

RATE = 24_000
FORMAT = {"audio_format": "s16le", "sample_rate": str(RATE)}
PORTRAIT = Path(__file__).resolve().parents[3] / "examples/portrait_closed.png"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.full), 2])
def test_what_a_viewer_saw_is_whole_after_sigterm(tmp_path: Path, workers: int) -> None:
    async def watch(url: str) -> int:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            made = (await http.post("/v1/sessions", json={"avatar": "anna"})).json()
            viewer = Viewer(video="h264")
            offer = await viewer.offer()
            answer = await http.post(made["whep_url"], content=offer, headers=SDP)
            await viewer.take(answer.text)
            await viewer.until(10)
            speech = np.asarray(tone(1.0, RATE) * 20_000, np.int16).tobytes()
            file = {"file": ("tone.raw", speech)}
            spoken = await http.post(made["speech_url"], files=file, data=FORMAT)
            assert spoken.status_code == 202, spoken.text
            await viewer.until(75)
            seen = len(viewer.pictures)
            await viewer.close()
            return seen

    call = ["--avatar", f"anna={PORTRAIT}", "--workers", str(workers)]
    with serving(*call, "--record", tmp_path) as server:
        seen = asyncio.run(watch(server.url))
        status, said = server.end(signal.SIGTERM)
    assert status == 0 and "recording kept" in said, said
    (file,) = tmp_path.iterdir()
    with av.open(str(file)) as movie:
        pts = [packet.pts for packet in movie.demux(video=0) if packet.pts is not None]
    assert len(pts) >= seen and len(set(np.diff(sorted(pts)))) == 1  # 25 a second, no hole
    with av.open(str(file)) as movie:
        assert movie.streams.video[0].average_rate == 25
        sound = np.concatenate([piece.to_ndarray()[0] for piece in movie.decode(audio=0)])
    pieces = np.abs(sound[: len(sound) // 480 * 480]).reshape(-1, 480).max(axis=1)
    assert np.sum(pieces > 0.1) / 100 == pytest.approx(1.0, abs=0.03)  # where it paused, too
