"""The agreement of the mouth with the speech, measured in the finished frames.

    python -m benchmarks.cpu.quality [--clips FOLDER ...] [--portraits NAME ...] [--quick]
        [--out FILE]

Every portrait speaks every clip through the real path; our own tracker reads the frames. Exits
with 1 when a gate fails, or when a control, which is wrong on purpose, passes all of them.
`benchmarks/README.md` explains the figures.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import metrics
from benchmarks.clips import Clip, Sound, load_clips, shut_sounds
from benchmarks.cpu import quality_report, scores
from benchmarks.cpu.fidelity import Fidelity, judge
from benchmarks.cpu.portraits import PORTRAITS
from benchmarks.cpu.scores import Score, Shut
from benchmarks.cpu.speech_inputs import (
    InputSource,
    SpeechInput,
    from_loudness,
    from_phonemes,
    still,
)
from benchmarks.cpu.tracked_render import LIVELY, STILL, TrackedRender, TrackingRenderer, avatar_of
from lipstream.avatar.avatar import Avatar
from lipstream.config import AvatarConfig
from lipstream.errors import MissingError
from lipstream.score import curves
from lipstream.speech.articulation.encoder import ArticulationEncoder

if TYPE_CHECKING:
    from lipstream.media.image import Image

IDLE_SECONDS = 24  # of silence in which blinks are counted
CONTROL_PORTRAIT = "closed"
QUICK_CLIPS = ("librivox_0880", "librivox_0930", "tts_en_flite_slt", "tts_zh_espeak")
QUICK_PORTRAITS = ("closed", "smiling")


def main() -> None:
    options = _options()
    began = time.perf_counter()
    driver = InputSource(_network(options.driver, options.weights))
    clips = load_clips(options.clips)
    names = options.portraits or (QUICK_PORTRAITS if options.quick else tuple(PORTRAITS))
    if options.quick:
        clips = [clip for clip in clips if clip.name in QUICK_CLIPS]
    avatars = {name: _avatar(name) for name in names}
    renderer = TrackingRenderer(STILL)

    spoken, pictures, rests, shuts = [], {}, {}, []
    for name, avatar in avatars.items():
        seen = {clip.name: renderer.render(avatar, driver.real(clip)) for clip in clips}
        spoken += [scores.score(name, clip, seen[clip.name]) for clip in clips]
        pictures[name] = _fidelity(avatar, seen.values())
        scale = curves.Scale.of(np.concatenate([one.openings for one in seen.values()]))
        rest = float(renderer.render(avatar, still(clips[0])).openings[0])
        rests[name] = (rest - scale.level) / scale.range
        shuts += _shut(renderer, name, avatar, driver, rest, scale)
        quality_report.note(f"{name}: {time.perf_counter() - began:.0f} s")
    control = CONTROL_PORTRAIT if CONTROL_PORTRAIT in avatars else names[0]
    variants = _controls(renderer, control, avatars[control], driver, clips)
    quality_report.note(f"controls: {time.perf_counter() - began:.0f} s")
    variants["lively"], blinks = _lively(control, avatars[control], driver, clips)

    outcome = quality_report.Outcome(
        driver=driver.name,
        scores=spoken,
        variants=variants,
        pictures=pictures,
        rests=rests,
        shuts=shuts,
        blinks=blinks,
        seconds=time.perf_counter() - began,
    )
    print(quality_report.text(outcome))
    if options.out:
        quality_report.write(outcome, options.out)
    sys.exit(0 if outcome.passed else 1)


def _controls(
    renderer: TrackingRenderer, name: str, avatar: Avatar, driver: InputSource, clips: list[Clip]
) -> dict[str, list[Score]]:
    """The same clips moved by the phonemes themselves, and by four things that are wrong."""
    others = {clip.name: clips[(i + 1) % len(clips)] for i, clip in enumerate(clips)}

    def energy(clip: Clip) -> SpeechInput:
        return from_loudness(clip, renderer.poses(avatar, driver.real(clip)))

    makers: dict[str, Callable[[Clip], SpeechInput]] = {
        "oracle": from_phonemes,
        "late 120 ms": driver.late,
        "wrong audio": lambda clip: driver.wrong(clip, others[clip.name]),
        "loudness": energy,
        "still": still,
    }
    return {
        variant: [scores.score(name, clip, renderer.render(avatar, make(clip))) for clip in clips]
        for variant, make in makers.items()
    }


def _lively(
    name: str, avatar: Avatar, driver: InputSource, clips: list[Clip]
) -> tuple[list[Score], float]:
    """The clips with sway and blinks on, and the blinks per minute in a long silence."""
    renderer = TrackingRenderer(LIVELY)
    spoken = [
        scores.score(name, clip, renderer.render(avatar, driver.real(clip))) for clip in clips
    ]
    silence = Sound("silence", np.zeros(IDLE_SECONDS * 16_000, np.float32), 16_000)
    seen = renderer.render(avatar, driver.sound(silence))
    return spoken, metrics.blinks(seen.eyes) * 60 / IDLE_SECONDS


def _shut(
    renderer: TrackingRenderer,
    name: str,
    avatar: Avatar,
    driver: InputSource,
    rest: float,
    scale: curves.Scale,
) -> list[Shut]:
    """Sounds that are no speech; none without a network."""
    if driver.network is None:
        return []
    return [
        scores.shut(
            name, sound.name, renderer.render(avatar, driver.sound(sound)).openings, rest, scale
        )
        for sound in shut_sounds()
    ]


def _fidelity(avatar: Avatar, seen: Iterable[TrackedRender]) -> Fidelity:
    frame = avatar.frames[0]
    assert frame.landmarks is not None
    frames: list[Image] = []
    shut: list[Image] = []
    for one in seen:
        frames += one.kept.values()
        closed = curves.Scale.of(one.openings).closed(one.openings) & one.poses.any(axis=1)
        shut += [image for index, image in one.kept.items() if closed[index]]
    return judge(frame.pixels, frame.landmarks, frames, shut or frames)


def _avatar(name: str) -> Avatar:
    """A portrait by name, or any picture file."""
    if name in PORTRAITS:
        return avatar_of(PORTRAITS[name]())
    from lipstream.avatar.builder import open_avatar

    return open_avatar(Path(name), AvatarConfig())


def _network(driver: str, weights: Path | None) -> ArticulationEncoder | None:
    if driver == "oracle":
        return None
    try:
        return ArticulationEncoder.from_file(weights)
    except MissingError as error:
        sys.exit(f"{error}, or measure the renderer alone with --driver oracle")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--clips", type=Path, nargs="+", default=[], help="folders of further clips"
    )
    parser.add_argument(
        "--portraits", nargs="+", help=f"of {', '.join(PORTRAITS)}, or picture files; default all"
    )
    parser.add_argument("--out", type=Path, help="write all figures here as JSON")
    parser.add_argument("--quick", action="store_true", help="two portraits, four clips")
    parser.add_argument("--weights", type=Path, help="measure these instead of those that ship")
    parser.add_argument(
        "--driver",
        choices=("network", "oracle"),
        default="network",
        help="oracle: the phonemes themselves move the mouth, which measures the renderer alone",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
