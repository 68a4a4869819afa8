"""The findings of `lipstream score` in videos of people who talk.

    python -m benchmarks.cpu.planted_shifts VIDEO ... [--out FILE]

Each video is written anew with its own sound displaced by -5 to 5 of its frames, with sounds that
are not its own, with its own backwards, and with a face that stands still; the command scores each
of these files. Then the mouth of each is judged by every other sound, at every half second of it:
of these mouths no more may pass than the command's limit says. Nothing of the videos is kept but
figures. Exits with 1 when a shift is missed or a wrong sound or a still face passes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.clips import HERE, SYNTHESISED
from benchmarks.cpu.remuxed_video import Speech, own_sound, write_pictures, write_video
from benchmarks.machine import describe
from lipstream.media.audio_reader import open_audio
from lipstream.score.files import Scored, score_video
from lipstream.score.judgement import MAX_CHANCE, judge
from lipstream.score.sound import Spoken, listen
from lipstream.timeline import FEATURE_RATE

SHIFTS = range(-5, 6)  # frames that the lips are made later
DISPLACED_BY = FEATURE_RATE // 2  # steps of the sound between two wrong times


@dataclass(frozen=True, slots=True)
class Finding:
    """The score of one file."""

    name: str
    follows: bool
    offset_ms: float
    correlation: float
    needed_correlation: float
    chance: float
    error_frames: float | None  # of the offset, where it is known

    @property
    def is_right(self) -> bool:
        """A planted shift is found within a frame, anything else is rejected."""
        if self.error_frames is None:
            return not self.follows
        return self.follows and abs(self.error_frames) <= 1

    def __str__(self) -> str:
        error = "" if self.error_frames is None else f", off by {self.error_frames:+.2f} frames"
        return (
            f"{self.name:<24} r {self.correlation:.2f} (needed {self.needed_correlation:.2f}) at "
            f"{self.offset_ms:+4.0f} ms, chance {self.chance:.1e}: "
            f"{'follows' if self.follows else 'does not follow'}{error}"
        )


def main() -> None:
    options = _options()
    scored = {path.name: score_video(path) for path in options.videos}
    findings: dict[str, list[Finding]] = {}
    for path in options.videos:
        print(f"{path.name}: {scored[path.name].score.verdict}", flush=True)
        findings[path.name] = []
        for finding in _findings(path, scored[path.name]):
            print(f"  {finding}{'' if finding.is_right else '  WRONG'}", flush=True)
            findings[path.name].append(finding)
    passed, tried = mismatched(list(scored.values()))
    print(
        f"mouths judged by {tried} wrong sounds: {passed} pass, {MAX_CHANCE * tried:.0f} expected"
    )
    if options.out:
        record = {
            "made_by": describe(),
            "videos": {
                name: {
                    "seconds": scored[name].score.seconds,
                    "fps": float(scored[name].mouth.fps),
                    "findings": [asdict(one) | {"right": one.is_right} for one in found],
                }
                for name, found in findings.items()
            },
            "wrong_sounds": {"tried": tried, "passed": passed, "limit": MAX_CHANCE},
        }
        options.out.write_text(json.dumps(record, indent=1) + "\n")
    sys.exit(0 if all(one.is_right for found in findings.values() for one in found) else 1)


def _findings(path: Path, own: Scored) -> Iterator[Finding]:
    fps, speech = float(own.mouth.fps), own_sound(path)
    others = {f"sound of {name}": _synthesised(name) for name in SYNTHESISED}
    with tempfile.TemporaryDirectory() as folder:
        pictures = write_pictures(path, Path(folder) / "pictures.mkv")
        still = write_pictures(path, Path(folder) / "still.mkv", frozen=True)
        video = Path(folder) / "video.mkv"
        for frames in SHIFTS:
            write_video(pictures, speech.delayed(-frames / fps), video)
            expected = own.score.offset_ms + 1000 * frames / fps
            yield _scored(f"{frames:+d} frames", video, fps, expected)
        for name, other in (others | {"its own backwards": speech.backwards()}).items():
            as_long = other.until(own.score.seconds)
            yield _scored(name, write_video(pictures, as_long, video), fps)
        yield _scored("face stands still", write_video(still, speech, video), fps)


def _scored(name: str, video: Path, fps: float, expected_ms: float | None = None) -> Finding:
    """Ask the command."""
    command = [sys.executable, "-m", "lipstream", "score", str(video), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    score = json.loads(done.stdout)
    error = (
        None if expected_ms is None else round((score["offset_ms"] - expected_ms) * fps / 1000, 4)
    )
    figures = {key: score[key] for key in Finding.__dataclass_fields__ if key in score}
    return Finding(name, **figures, error_frames=error)


def mismatched(scored: list[Scored]) -> tuple[int, int]:
    """So many of so many mouths pass that are judged by the sounds of others, or synthesised."""
    sounds = [one.spoken for one in scored] + [_heard(name) for name in SYNTHESISED]
    passed = tried = 0
    for own in scored:
        for sound in sounds:
            if sound is own.spoken:
                continue
            for shift in range(0, len(sound.gap), DISPLACED_BY):
                passed += judge(own.mouth, _displaced(sound, shift, own.score.seconds)).follows
                tried += 1
    return passed, tried


def _displaced(sound: Spoken, shift: int, seconds: float) -> Spoken:
    """The sound from another time on, in a circle, for so many seconds and one more."""
    steps = np.arange(shift, shift + round((seconds + 1) * FEATURE_RATE)) % len(sound.gap)
    return replace(
        sound, gap=sound.gap[steps], close=sound.close[steps], loudness=sound.loudness[steps]
    )


def _synthesised(name: str) -> Speech:
    return Speech.read(HERE / "clips" / f"{name}.wav")


def _heard(name: str) -> Spoken:
    with open_audio(HERE / "clips" / f"{name}.wav") as sound:
        return listen(sound, sound.sample_rate)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, nargs="+", help="people who talk, with their sound")
    parser.add_argument("--out", type=Path, help="write all figures here as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
