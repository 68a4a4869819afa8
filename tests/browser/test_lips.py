"""The real puppet in a real browser: the lips that arrive follow the sound that arrives."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from benchmarks.clips import Clip, load_clips
from benchmarks.cpu.tracked_render import MouthTracker
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.media.resampler import Resampler
from lipstream.score import curves
from lipstream.score.curves import Curve
from tests.browser.chromium import Chromium
from tests.browser.server_process import ServerProcess, start_server
from tests.browser.viewer_page import AVATAR, TIMEOUT_MS, ViewerPage
from tests.media_files import write_wav
from tests.timed import judge, measure_until

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

pytestmark = [pytest.mark.full, pytest.mark.alone]

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "examples" / "portrait_closed.png"
FILE = ROOT / "build" / "lips.json"
BROWSER_RATE, RATE = 48_000, 16_000  # Hz, of the browser and of the comparison
SETTLE_S = 4.0  # until then the browser still fits its buffers to the connection
SPEECH_S = 9.0  # enough to judge, and soon over
REST_S = 1.0  # in which the browser plays what it has in its buffers
PILL = "(text) => document.getElementById('pill').textContent === text"
PAGE_SIZE = 40  # frames fetched at a time
MAX_OFFSET_S, MIN_CORRELATION = 0.060, 0.55


@dataclass(frozen=True, slots=True)
class Recording:
    """The pictures and the sound of one viewer. Times in seconds on the page's clock."""

    times: Curve  # when each frame was shown
    openings: Curve  # of the lips, as our tracker sees them
    sound: Floats  # 16 kHz
    began: float  # time of its first sample


def chosen_clip() -> Clip:
    """A human voice where this machine has one, else a synthesised one of ours."""
    clips = load_clips([])
    return min(clips, key=lambda clip: (not clip.human, abs(clip.seconds - SPEECH_S)))


def test_received_lips_follow_the_received_sound(chromium: Chromium, tmp_path: Path) -> None:
    clip = chosen_clip()
    pcm = np.round(clip.samples * 32767).astype(np.int16)
    file = write_wav(tmp_path / f"{clip.name}.wav", pcm, clip.sample_rate)

    def measure() -> tuple[float, float]:
        recording = _record(chromium, server, file, clip.seconds)
        return _judged(clip, chromium.run(recording))

    def passed(figures: tuple[float, float]) -> bool:
        return abs(figures[0]) <= MAX_OFFSET_S and figures[1] >= MIN_CORRELATION

    with start_server("--puppet", f"face={PORTRAIT}") as server:
        measurements = measure_until(measure, passed)
    figures = [
        {"offset_ms": 1000 * seconds, "correlation": correlation, "stolen": one.stolen}
        for one in measurements
        for seconds, correlation in [one.value]
    ]
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps({"clip": clip.name, "measurements": figures}, indent=1) + "\n")
    judge(passed(measurements[-1].value), measurements, figures)


def _judged(clip: Clip, recording: Recording) -> tuple[float, float]:
    """The offset in seconds, positive for late lips, and the correlation there."""
    start = _start_time(clip, recording)
    frames = int(clip.seconds * 25)
    middles = recording.times + 0.020 - start  # of the time each frame is seen, on the clip's clock
    openings = np.interp(curves.centres(frames), middles, recording.openings)
    return curves.offset(openings, clip.target())


async def _record(
    chromium: Chromium, server: ServerProcess, file: Path, seconds: float
) -> Recording:
    viewer = await ViewerPage.blank(chromium.browser)
    await viewer.open(server.address, server.token)
    await viewer.start()
    await asyncio.sleep(SETTLE_S)
    await viewer.page.evaluate(
        f"() => import('/probe/recorder.js').then((r) => (window.tape = r).record({AVATAR}))"
    )
    await viewer.page.set_input_files("#sound-file", file)
    for pill in ("Speaking", "Live"):
        await viewer.page.wait_for_function(PILL, arg=pill, timeout=1000 * seconds + TIMEOUT_MS)
    await asyncio.sleep(REST_S)
    sound = await viewer.page.evaluate(f"() => tape.recordedSound({AVATAR})")
    samples = np.frombuffer(base64.b64decode(sound["samples"]), np.float32)
    frames: list[tuple[float, str]] = []
    while part := await viewer.page.evaluate(
        f"() => tape.recordedFrames({len(frames)}, {len(frames) + PAGE_SIZE})"
    ):
        frames += part
    await viewer.close()
    tracker = MouthTracker(FaceFinder(), read_picture(PORTRAIT, AvatarConfig()))
    for _, picture in frames:
        tracker.measure(_decoded(picture))
    assert tracker.lost == 0
    resampler = Resampler(BROWSER_RATE)
    return Recording(
        np.array([time for time, _ in frames]) / 1000,
        np.array(tracker.openings),
        np.concatenate([resampler.push(samples), resampler.flush()]),
        sound["time"] / 1000,
    )


def _decoded(picture: str) -> Image:
    data = np.frombuffer(base64.b64decode(picture), np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _start_time(clip: Clip, recording: Recording) -> float:
    """The time at which the clip's first sample was played, by correlation."""
    resampler = Resampler(clip.sample_rate)
    spoken = np.concatenate([resampler.push(clip.samples), resampler.flush()])
    size = 1 << (len(spoken) + len(recording.sound)).bit_length()
    spectrum = np.fft.rfft(recording.sound, size) * np.conj(np.fft.rfft(spoken, size))
    correlation = np.fft.irfft(spectrum, size)[: len(recording.sound)]
    return recording.began + int(correlation.argmax()) / RATE
