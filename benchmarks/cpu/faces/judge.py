"""The figures of one face, and the thresholds that they have to meet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.cpu.faces import openings
from benchmarks.cpu.faces.closure import parted
from benchmarks.cpu.faces.drawn import Drawn, Part
from benchmarks.cpu.faces.light import Light, chroma, light_of, teeth, tint
from benchmarks.cpu.faces.lines import LineFinder
from benchmarks.cpu.faces.performance import POSES, Performance
from benchmarks.cpu.faces.strips import MOUTH, NOSE, Strips
from benchmarks.cpu.fidelity import border_ratio, redrawn
from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.rendering.puppet.pose import pose_of
from lipstream.score import curves
from lipstream.score.sharpness import sharpness_ratio

if TYPE_CHECKING:
    from lipstream.media.image import Floats

FOLLOWS = 0.75  # correlation of tracker and geometry; below, the tracker cannot follow
OPEN_POSES = [index for index, name in enumerate(POSES) if name != "rest"]
EVERY = 5  # one frame of speech in so many is judged for its light

MIN_LIPS, MIN_MEAN_LIPS = 0.62, 0.72  # correlation, each and in the mean
MAX_REST = 0.30  # of the range above the closed level of the same face's speech
REST_PERCENTILE = 95  # of a clip's silence
MAX_CHROMA = 6.0  # of 255 above the skin's, in grey pictures
MIN_SHARPNESS, MAX_SHARPNESS = 0.6, 1.3
MAX_SEAM = 1.1
MAX_SILENCE = 1.3  # times the motion of the nose, with MOTION_ROOM to spare
MOTION_ROOM = 0.002  # eye distances per frame


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is measured of one face; None where it does not apply or could not be measured."""

    name: str
    moving: bool
    unit: float  # eye distance, pixels
    lips: float  # correlation with the phonemes, by the tracker or else by the geometry
    by: str  # "tracker" or "geometry"
    rest: float  # opening at rest above the closed level of speech, over its range
    parted: bool  # a portrait at rest shows something between its lips
    skin: float
    skin_chroma: float
    eye_white: float | None
    teeth: float | None  # luminance of the worst frame
    max_teeth: float
    teeth_chroma: float | None  # of the widest mouth
    chroma: float | None  # of the mouth's inside in a grey picture
    max_chroma: float
    sharpness: dict[str, float]  # by pose
    seam: float  # step at the border of what is redrawn over the source's, worst frame
    doubled: int  # frames
    lost: int  # frames whose lips are gone
    frames: int
    silence: float | None  # motion of the mouth in silence, eye distances per frame
    head: float | None  # the same of the nose: what the tracker and the light do
    source: float | None  # the same of the source's own mouth
    milliseconds: float  # per frame
    warnings: tuple[str, ...]

    def failures(self) -> list[str]:
        """The thresholds that are not met, by name."""
        checks = {
            "lips": self.lips >= MIN_LIPS,
            "rest": self.rest <= MAX_REST,
            "parted": not self.parted,
            "teeth": self.teeth is None or self.teeth <= self.max_teeth,
            "chroma": self.chroma is None or self.chroma <= self.max_chroma,
            "sharp": all(
                MIN_SHARPNESS <= value <= MAX_SHARPNESS for value in self.sharpness.values()
            ),
            "seam": self.seam <= MAX_SEAM,
            "doubled": self.doubled == 0,
            "lost": self.lost == 0,
            "silence": self.silence is None
            or self.head is None
            or self.silence <= MAX_SILENCE * self.head + MOTION_ROOM,
        }
        return [name for name, passed in checks.items() if not passed]


def judge(
    finder: FaceFinder, drawn: Drawn, performance: Performance, grey: Drawn | None
) -> Figures:
    """Measure all that was drawn of one face; `grey` is the same face without colour."""
    poses, speech = drawn.part("poses"), drawn.part("speech")
    silence = drawn.part("silence") if drawn.has("silence") else None
    light = _light(poses)
    lips, by, scale = _lips(finder, speech, performance)
    whitest, _ = _inside([(poses, OPEN_POSES), (speech, range(0, len(speech), EVERY))])
    spoken = _lines(speech, performance.speech)
    quiet = _lines(silence, performance.silence) if silence else (0, 0, 0)
    motion = _silence(silence) if silence else (None, None, None)
    grey_chroma, grey_light = _grey(grey)
    return Figures(
        name=drawn.name,
        moving=drawn.moving,
        unit=drawn.unit,
        lips=lips,
        by=by,
        rest=_rest(finder, silence or poses, scale, by),
        parted=not drawn.moving and _parted(finder, poses),
        skin=light.skin,
        skin_chroma=light.skin_chroma,
        eye_white=light.eye_white,
        teeth=whitest,
        max_teeth=light.brightest_tooth,
        teeth_chroma=tint(poses.frames[-1], poses.inside[-1]),
        chroma=grey_chroma,
        max_chroma=MAX_CHROMA + (0.0 if grey_light is None else grey_light.skin_chroma),
        sharpness={
            name: sharpness_ratio(poses.frames[index], poses.points[index])
            for index, name in enumerate(POSES)
            if name != "rest"
        },
        seam=_seam(poses),
        doubled=spoken[0] + quiet[0],
        lost=spoken[1] + quiet[1],
        frames=spoken[2] + quiet[2],
        silence=motion[0],
        head=motion[1],
        source=motion[2],
        milliseconds=1000 * drawn.record["seconds_per_frame"]["speech"],
        warnings=tuple(drawn.record["warnings"]),
    )


def _lips(
    finder: FaceFinder, speech: Part, performance: Performance
) -> tuple[float, str, curves.Scale]:
    """Correlation with the phonemes, the instrument it was read by, and that one's scale."""
    read, geometry = openings.tracked(finder, speech), openings.by_geometry(speech)
    follows = curves.correlation(read, geometry) >= FOLLOWS
    curve = read if follows else geometry
    found = [
        curves.correlation(curve[sentence.frames], sentence.expected)
        for sentence in performance.sentences
    ]
    return float(np.mean(found)), "tracker" if follows else "geometry", curves.Scale.of(curve)


def _rest(finder: FaceFinder, part: Part, scale: curves.Scale, by: str) -> float:
    """The opening at rest over the range of speech.

    Of a portrait its first pose, of a clip nearly all of its silence.
    """
    only = None if len(part.sources) > 1 else 0
    if by == "tracker":
        curve = openings.tracked(finder, part, only)
    else:
        curve = openings.by_geometry(part)[: None if only is None else 1]
    return float(np.percentile(scale.relative(curve), REST_PERCENTILE))


def _parted(finder: FaceFinder, poses: Part) -> bool:
    """Tell whether a portrait's lips are apart at rest, where they are in that frame."""
    frame, points = np.asarray(poses.frames[0]), poses.points[0]
    face = finder.track(frame, Face(points, 1.0))
    return parted(frame, points if face is None else face.landmarks)


def _inside(parts: Iterable[tuple[Part, Iterable[int]]]) -> tuple[float | None, float | None]:
    """The brightest teeth and the most colourful inside of all frames."""
    bright, colourful = [], []
    for part, indices in parts:
        for index in indices:
            bright.append(teeth(part.frames[index], part.inside[index]))
            colourful.append(chroma(part.frames[index], part.inside[index]))
    brightest = [value for value in bright if value is not None]
    most = [value for value in colourful if value is not None]
    return max(brightest, default=None), max(most, default=None)


def _light(part: Part) -> Light:
    """The light of a portrait, or the usual one of a clip: in some frames eyes are half shut."""
    found = [
        light_of(image, points)
        for image, points in zip(part.natural, part.natural_points, strict=True)
    ]
    whites = [light.eye_white for light in found if light.eye_white is not None]
    return Light(
        float(np.median([light.skin for light in found])),
        float(np.median([light.skin_chroma for light in found])),
        float(np.median(whites)) if whites else None,
    )


def _grey(drawn: Drawn | None) -> tuple[float | None, Light | None]:
    if drawn is None:
        return None, None
    poses = drawn.part("poses")
    return _inside([(poses, OPEN_POSES)])[1], _light(poses)


def _seam(poses: Part) -> float:
    ratios = []
    for index in OPEN_POSES:
        source, frame = poses.source(index), poses.frames[index]
        box = redrawn(source, [frame])
        if box is not None:
            ratios.append(border_ratio(source, frame, box))
    return max(ratios, default=1.0)


def _lines(part: Part, rows: Floats) -> tuple[int, int, int]:
    """Frames with a doubled lip line, frames without lips, frames looked at."""
    finder, seen = LineFinder(part), part.seen()
    found = [finder.look(index, pose_of(rows[index]).jaw) for index in seen]
    return sum(one.doubled for one in found), sum(one.lost for one in found), len(seen)


def _silence(part: Part) -> tuple[float, float, float]:
    """Motion per frame, eye distances: of the mouth drawn, of the nose, of the source's mouth."""
    strips = Strips.of(part)
    drawn = strips.motion(MOUTH, sources=False)
    return drawn, strips.motion(NOSE, sources=True), strips.motion(MOUTH, sources=True)
