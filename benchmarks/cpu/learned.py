"""The learned MuseTalk of `examples/tiny`: does it speak, through the real path?

    python -m benchmarks.cpu.learned [--models FOLDER] [--clips FOLDER ...] [--portraits NAME ...]
        [--quick] [--sheet FILE] [--out FILE]

Human voices that the weights never heard, and any portraits; our own tracker reads the finished
frames. The puppet, its teacher, says the same beside it. Exits with 1 when a gate fails, or when a
control, which is wrong on purpose, passes. `benchmarks/README.md` explains the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from benchmarks.clips import Clip, load_clips
from benchmarks.cpu.learned_figures import CONTROLS, Figures, Outcome, judge, text
from benchmarks.cpu.learned_runs import Speaker, Spoken
from benchmarks.cpu.portraits import EXAMPLES, PORTRAITS
from benchmarks.cpu.speech_inputs import LATE
from benchmarks.cpu.tracked_render import avatar_of
from benchmarks.machine import describe
from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar

MODELS = EXAMPLES / "tiny"
QUICK_PORTRAITS = ("closed",)
QUICK_CLIPS = ("librivox_0880", "librivox_0890", "librivox_0930")
SILENCE_SECONDS = 4
SHEET_FRAMES = 8


def main() -> None:
    options = _options()
    began = time.perf_counter()
    clips = load_clips(options.clips)
    if options.quick:
        clips = [clip for clip in clips if clip.name in QUICK_CLIPS]
    names = options.portraits or (QUICK_PORTRAITS if options.quick else tuple(PORTRAITS))
    avatars = {Path(name).stem: _avatar(name) for name in names}
    speaker, rows = Speaker(options.models), list[Figures]()
    for name, avatar in avatars.items():
        for clip in clips:
            ours, live = speaker.says(avatar, clip), speaker.says(avatar, clip, live=True)
            rows.append(judge(name, clip, avatar, ours, live, speaker.puppet_says(avatar, clip)))
            _note(f"{name} {clip.name}: {time.perf_counter() - began:.0f} s")
    first = next(iter(avatars.values()))
    outcome = Outcome(
        rows,
        controls={name: _control(name, speaker, first, clips) for name in CONTROLS},
        silence=max(_silence(speaker, avatar) for avatar in avatars.values()),
    )
    print(text(outcome))
    if options.sheet:
        _sheet(options.sheet, speaker, avatars, clips[0])
    if options.out:
        record = {**asdict(outcome), "machine": describe()}
        options.out.write_text(json.dumps(record, indent=1) + "\n")
    sys.exit(0 if outcome.passed else 1)


def _control(name: str, speaker: Speaker, avatar: Avatar, clips: list[Clip]) -> list[Figures]:
    """All clips by one of the wrong ways of saying them."""
    found = []
    for at, clip in enumerate(clips):
        ours = speaker.says(
            avatar,
            clip,
            late=LATE if name == "late 120 ms" else 0.0,
            sound=clips[(at + 1) % len(clips)] if name == "wrong sound" else None,
            shuffled=name == "shuffled tokens",
        )
        found.append(judge(name, clip, avatar, ours, ours, ours))
    return found


def _silence(speaker: Speaker, avatar: Avatar) -> float:
    """Standard deviation of the opening while nothing is said, eye distances."""
    nothing = Clip("silence", False, np.zeros(SILENCE_SECONDS * 16_000, np.float32), 16_000, ())
    return float(speaker.says(avatar, nothing).openings.std())


def _sheet(path: Path, speaker: Speaker, avatars: dict[str, Avatar], clip: Clip) -> None:
    """Write a picture: for each portrait the same frames by the puppet and by the networks."""
    rows = []
    for avatar in avatars.values():
        for said in (speaker.puppet_says(avatar, clip), speaker.says(avatar, clip)):
            rows.append(np.concatenate(_chosen(said), axis=1))
    cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))


def _chosen(said: Spoken, side: int = 160) -> list[np.ndarray]:
    step = max(1, len(said.frames) // SHEET_FRAMES)
    frames = said.frames[step // 2 :: step][:SHEET_FRAMES]
    return [cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames]


def _avatar(name: str) -> Avatar:
    """A portrait by name, or any picture file."""
    return avatar_of(PORTRAITS[name]()) if name in PORTRAITS else open_avatar(Path(name))


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of weights")
    parser.add_argument("--clips", type=Path, nargs="+", default=[], help="further clips")
    parser.add_argument("--portraits", nargs="+", help="names of benchmark portraits, or files")
    parser.add_argument(
        "--quick", action="store_true", help="one portrait unless named, three clips"
    )
    parser.add_argument("--sheet", type=Path, help="write a picture of frames here")
    parser.add_argument("--out", type=Path, help="write all figures here as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
