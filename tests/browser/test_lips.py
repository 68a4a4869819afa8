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

from benchmarks import metrics
from benchmarks.clips import Clip, load_clips
from benchmarks.cpu.tracked_render import Watcher
from benchmarks.metrics import Curve
from lipstream.avatar.face.finder import FaceFinder
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.media.resampler import Resampler
from tests.browser.service import open_service
from tests.browser.stage import Stage
from tests.browser.viewer import AVATAR, Viewer
from tests.media_files import write_wav
from tests.timed import judge, take_until

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

pytestmark = [pytest.mark.slow, pytest.mark.alone]

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "examples" / "portrait_closed.png"
ARTEFACT = ROOT / "build" / "lips.json"
HEARD_RATE, RATE = 48_000, 16_000  # Hz, of the browser and of the comparison
SETTLE = 4.0  # seconds
LONGEST = 9.0  # seconds of speech: enough to judge, and soon over
PART = 40  # frames fetched at a time
MAX_OFFSET, MIN_CORRELATION = 0.060, 0.55  # seconds


@dataclass(frozen=True, slots=True)
class Recording:
    """What arrived. Times in seconds on the page's clock."""

    times: Curve  # when each frame was shown
    openings: Curve  # of the lips, as our tracker sees them
    sound: Floats  # 16 kHz
    began: float  # time of its first sample


def chosen_clip() -> Clip:
    """A human voice where this machine has one, else a synthesised one of ours."""
    clips = load_clips([])
    return min(clips, key=lambda clip: (not clip.human, abs(clip.seconds - LONGEST)))


def test_received_lips_follow_the_received_sound(stage: Stage, tmp_path: Path) -> None:
    clip = chosen_clip()
    pcm = np.round(clip.samples * 32767).astype(np.int16)
    file = write_wav(tmp_path / f"{clip.name}.wav", pcm, clip.sample_rate)

    def measure() -> tuple[float, float]:
        recording = _record(stage, service.address, service.token, file, clip.seconds)
        return _judged(clip, stage.run(recording))

    def passed(figures: tuple[float, float]) -> bool:
        return abs(figures[0]) <= MAX_OFFSET and figures[1] >= MIN_CORRELATION

    with open_service("--puppet", f"face={PORTRAIT}") as service:
        takes = take_until(measure, passed)
    figures = [
        {"offset_ms": 1000 * seconds, "correlation": correlation, "stolen": take.stolen}
        for take in takes
        for seconds, correlation in [take.found]
    ]
    ARTEFACT.parent.mkdir(exist_ok=True)
    ARTEFACT.write_text(json.dumps({"clip": clip.name, "takes": figures}, indent=1) + "\n")
    judge(passed(takes[-1].found), takes, figures)


def _judged(clip: Clip, recording: Recording) -> tuple[float, float]:
    """The offset in seconds, positive for late lips, and the correlation there."""
    said = _placed(clip, recording)
    frames = int(clip.seconds * 25)
    middles = recording.times + 0.020 - said  # of the time each frame is seen, on the clip's clock
    openings = np.interp(metrics.centres(frames), middles, recording.openings)
    return metrics.offset(openings, clip.target())


async def _record(stage: Stage, address: str, token: str, file: Path, seconds: float) -> Recording:
    viewer = await Viewer.open(stage.browser, address, token)
    await viewer.start()
    await asyncio.sleep(SETTLE)
    await viewer.page.evaluate(
        f"() => import('/probe/recorder.js').then((r) => (window.tape = r).record({AVATAR}))"
    )
    await viewer.page.set_input_files("#sound-file", file)
    await asyncio.sleep(seconds + 2)
    heard = await viewer.page.evaluate(f"() => tape.heard({AVATAR})")
    samples = np.frombuffer(base64.b64decode(heard["samples"]), np.float32)
    frames: list[tuple[float, str]] = []
    while part := await viewer.page.evaluate(
        f"() => tape.seen({len(frames)}, {len(frames) + PART})"
    ):
        frames += part
    await viewer.close()
    watcher = Watcher(FaceFinder(), read_picture(PORTRAIT, AvatarConfig()))
    for _, picture in frames:
        watcher.see(_decoded(picture))
    assert watcher.lost == 0
    resampler = Resampler(HEARD_RATE)
    return Recording(
        np.array([time for time, _ in frames]) / 1000,
        np.array(watcher.openings),
        np.concatenate([resampler.push(samples), resampler.flush()]),
        heard["time"] / 1000,
    )


def _decoded(picture: str) -> Image:
    data = np.frombuffer(base64.b64decode(picture), np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _placed(clip: Clip, recording: Recording) -> float:
    """When the clip's first sample was heard, by correlating what was heard with it."""
    resampler = Resampler(clip.sample_rate)
    said = np.concatenate([resampler.push(clip.samples), resampler.flush()])
    size = 1 << (len(said) + len(recording.sound)).bit_length()
    spectrum = np.fft.rfft(recording.sound, size) * np.conj(np.fft.rfft(said, size))
    found = np.fft.irfft(spectrum, size)[: len(recording.sound)]
    return recording.began + int(found.argmax()) / RATE
