"""Renders speech through the real path and tracks the face in the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.cpu.speech_inputs import SpeechInput
from benchmarks.metrics import eye_opening
from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.avatar.face import landmarks as lm
from lipstream.avatar.face.finder import FaceFinder
from lipstream.config import AvatarConfig, MotionConfig
from lipstream.engine import Engine
from lipstream.media.audio import AudioChunk
from lipstream.offline import render_stream
from lipstream.rendering.base import FrameRequest, Renderer
from lipstream.rendering.puppet.renderer import PuppetRenderer
from lipstream.rendering.registry import Backend
from lipstream.score.curves import Curve
from lipstream.score.mouth import LOOKS, looks, opening
from lipstream.stream import LipSyncStream
from lipstream.timeline import FPS

if TYPE_CHECKING:
    from lipstream.config import Progress
    from lipstream.media.image import Floats, Image

STILL = MotionConfig(blink=False, sway=False)
LIVELY = MotionConfig()
CHUNK_SECONDS = 0.1
KEEP_EVERY = 9  # one frame in so many is kept for the judgement of the picture


@dataclass(frozen=True, slots=True, eq=False)
class TrackedRender:
    """The measurements of all frames of one rendering."""

    openings: Curve  # (frames,) gap between the lips, eye distances
    eyes: Curve  # (frames,) height over width
    rigid: Floats  # (frames, n, 2) points that speech does not move, eye distances
    poses: Floats  # (frames, 7) what the renderer was asked to show
    kept: dict[int, Image]  # every `KEEP_EVERY`th frame, by its index
    lost: int  # frames in which the tracker saw no face; the last values stand in


class TrackingRenderer:
    """Renders any input with any avatar and one motion; the renderer's set-up is done once."""

    def __init__(self, motion: MotionConfig) -> None:
        self._renderer = PuppetRenderer(FPS, motion)
        self._finder = FaceFinder()

    def render(self, avatar: Avatar, spoken: SpeechInput) -> TrackedRender:
        """Render the whole input and track every frame."""
        recorder = PoseRecorder(self._renderer)
        engine = Engine(Backend("puppet", spoken.encoder, recorder, FPS, 1, "benchmark"))
        tracker = MouthTracker(self._finder, avatar.frames[0].pixels)
        kept = {}
        for index, frame in enumerate(render_stream(engine, avatar, chunks(spoken))):
            tracker.measure(frame.frame)
            if index % KEEP_EVERY == KEEP_EVERY // 2:
                kept[index] = frame.frame
        return TrackedRender(
            np.array(tracker.openings),
            np.array(tracker.eyes),
            np.stack(tracker.rigid),
            np.stack(recorder.poses),
            kept,
            tracker.lost,
        )

    def poses(self, avatar: Avatar, spoken: SpeechInput) -> Floats:
        """(frames, 7) the poses that the renderer would be given, without rendering."""
        stream = LipSyncStream(avatar, spoken.encoder)
        segments = [segment for chunk in chunks(spoken) for segment in stream.push(chunk)]
        return np.concatenate([segment.context for segment in segments + stream.end()])


class MouthTracker:
    """Tracks one face through frames and measures it in each.

    Every frame is looked at where the portrait's own face is. Following the face from frame to
    frame would feed the tracker's noise back into its crops and double the noise.
    """

    def __init__(self, finder: FaceFinder, portrait: Image) -> None:
        self._finder = finder
        self._place = finder.find(portrait)[0]
        self._seen = [self._place] * len(LOOKS)
        self._last = np.zeros(0, np.uint8)
        self.openings: list[float] = []
        self.eyes: list[float] = []
        self.rigid: list[Floats] = []
        self.lost = 0

    def measure(self, image: Image) -> None:
        """Measure the next frame."""
        if np.array_equal(image, self._last):
            self.openings.append(self.openings[-1])
            self.eyes.append(self.eyes[-1])
            self.rigid.append(self.rigid[-1])
            return
        self._last = image
        found = looks(self._finder, image, self._place)
        self.lost += any(face is None for face in found)
        self._seen = [new or old for new, old in zip(found, self._seen, strict=True)]
        points = [face.landmarks for face in self._seen]
        self.openings.append(opening(*points))
        self.eyes.append(sum(eye_opening(look) for look in points) / len(points))
        mean = np.mean([look[:, :2] for look in points], axis=0)
        self.rigid.append(mean[list(lm.RIGID)] / np.float32(lm.eye_distance(mean)))


class PoseRecorder:
    """A renderer that records the poses it is given."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self.poses: list[Floats] = []

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        return self._renderer.prepare(avatar, progress)

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        self.poses += [
            row for row in (request.conditioning for request in requests) if row is not None
        ]
        return self._renderer.render(requests)


def chunks(spoken: SpeechInput) -> Iterator[AudioChunk]:
    """The sound of the input in chunks, as they would come over a network."""
    size = round(CHUNK_SECONDS * spoken.sample_rate)
    for start in range(0, len(spoken.samples), size):
        yield AudioChunk(spoken.samples[start : start + size], spoken.sample_rate)


def avatar_of(image: Image) -> Avatar:
    """The picture prepared as a user's file would be."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "portrait.png"
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return open_avatar(path, AvatarConfig())
