"""The time of single frames: encoding speech, drawing, and the stages of drawing."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.clips import load_clips
from benchmarks.cpu.speech_inputs import InputSource, SpeechInput
from benchmarks.cpu.tracked_render import LIVELY, chunks
from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.config import AvatarConfig
from lipstream.engine import Engine
from lipstream.media.image import paste
from lipstream.rendering.puppet.head_motion import HeadFlow
from lipstream.rendering.puppet.mouth.layers import MouthLayers, MouthModel
from lipstream.rendering.puppet.renderer import PuppetRenderer
from lipstream.rendering.puppet.warp import warp, warp_planes
from lipstream.rendering.registry import Backend
from lipstream.speech.articulation.encoder import ArticulationEncoder
from lipstream.stream import Segment
from lipstream.timeline import FPS

CLIP = "tts_en_flite_slt"
WARM_UP = 20  # frames
# Functions of the renderer by their stage; a stage's time includes what they call.
STAGES: dict[Callable[..., object], str] = {
    MouthModel.layers: "flow",
    MouthLayers.read: "enlarge",
    HeadFlow.sources: "head",
    warp: "warp",
    warp_planes: "warp",
    MouthModel._lit_interior: "interior",
    MouthModel.join: "join",
    MouthLayers.shade: "shade",
    paste: "paste",
}


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """Milliseconds."""

    name: str
    median: float  # to render one frame, wall
    best: float  # 5th percentile: what the machine does when it is left alone
    p95: float
    cpu: float  # of all threads, mean
    encoding: float  # of one frame's speech, mean
    open: float  # to read the source and find the face, or measure the clip
    prepare: float  # the renderer's set-up
    stages: dict[str, float]  # mean CPU time per frame, all threads

    def record(self) -> dict[str, object]:
        return asdict(self)


def time_frames(name: str, source: Path) -> FrameTimes:
    """Open `source`, let it speak, and time every frame of it."""
    began = time.perf_counter()
    avatar = open_avatar(source, AvatarConfig())
    opened = time.perf_counter()
    renderer = PuppetRenderer(FPS, LIVELY)
    renderer.prepare(avatar)
    prepared = time.perf_counter()
    spoken = _speech_input()
    engine = Engine(Backend("puppet", spoken.encoder, renderer, FPS, 1, "benchmark"))
    segments, encoding = _encode(engine, avatar, spoken)
    for segment in segments[:WARM_UP]:
        engine.render([segment])
    walls, cpu = [], time.process_time()
    for segment in segments:
        start = time.perf_counter()
        engine.render([segment])
        walls.append(1000 * (time.perf_counter() - start))
    cpu = time.process_time() - cpu
    return FrameTimes(
        name,
        float(np.median(walls)),
        float(np.percentile(walls, 5)),
        float(np.percentile(walls, 95)),
        1000 * cpu / len(segments),
        encoding,
        1000 * (opened - began),
        1000 * (prepared - opened),
        _stages(engine, segments),
    )


def _speech_input() -> SpeechInput:
    clip = next(clip for clip in load_clips([]) if clip.name == CLIP)
    return InputSource(ArticulationEncoder.from_file()).real(clip)


def _encode(engine: Engine, avatar: Avatar, spoken: SpeechInput) -> tuple[list[Segment], float]:
    """All segments of the input, and the milliseconds that encoding one frame took."""
    stream = engine.open_stream(avatar)
    sound = list(chunks(spoken))
    began = time.perf_counter()
    segments = [segment for chunk in sound for segment in stream.push(chunk)] + stream.end()
    return segments, 1000 * (time.perf_counter() - began) / len(segments)


def _stages(engine: Engine, segments: list[Segment]) -> dict[str, float]:
    """The time of each stage, by a profile of the whole clip; its own cost is in `other`."""
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    for segment in segments:
        engine.render([segment])
    profile.disable()
    stats = pstats.Stats(profile)
    stages = {
        (code.co_filename, code.co_firstlineno, code.co_name): stage
        for function, stage in STAGES.items()
        for code in [function.__code__]
    }
    found = dict.fromkeys(STAGES.values(), 0.0)
    for place, (_, _, _, cumulative, _) in stats.stats.items():  # type: ignore[attr-defined]
        if place in stages:
            found[stages[place]] += 1000 * cumulative / len(segments)
    found["join"] = max(found["join"] - found["interior"], 0.0)  # one calls the other
    total = 1000 * float(stats.total_tt) / len(segments)  # type: ignore[attr-defined]
    return found | {"other": total - sum(found.values())}
