"""The accuracy of a speech encoder: its lip gap against the gap of the known phonemes.

    python -m training.evaluate NET.npz [NET.npz ...] --clips FOLDER [FOLDER ...]

A folder holds `NAME.json` timing files (the form of `training.align`) with `NAME.wav` beside them.
The five audiobook sentences of Debian's `pocketsphinx-testdata` are always taken; their timing is
in `benchmarks/alignments`. All is measured behind the whole encoder: network, gate, frame rules.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from lipstream.speech.articulation.encoder import ArticulationEncoder
from lipstream.speech.articulation.lip_gap import lip_gap
from lipstream.speech.articulation.log_mel import LogMel
from lipstream.speech.articulation.network import PARAMETERS
from lipstream.timeline import FEATURE_STEP, SAMPLE_RATE, frame_count
from training.phonemes import ARPABET, POSES, Kind, Segment, targets

Array = NDArray[np.float32]
Mouth = Callable[[Array], Array]  # samples at 16 kHz -> (frames, 7)

AUDIOBOOK = Path("/usr/share/pocketsphinx/test/data/librivox")
ALIGNMENTS = Path(__file__).parent.parent / "benchmarks" / "alignments"
SHUT = 0.12  # a gap below this is a closed mouth
_NEAR = 0.06  # seconds around a bilabial in which the closure may be seen
_LONG = 0.06 - 1e-6  # seconds that a vowel must last to be asked whether it is open
_LAGS = range(-150, 151, 10)  # ms
_FRAME = 0.04  # seconds


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Speech at 16 kHz and its phonemes."""

    name: str
    samples: Array
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one clip, or the sum over several."""

    clips: int
    correlation: float  # of the lip gap at lag 0, mean over clips
    best: float  # at the best lag
    lag: float  # ms; positive: the mouth is late; mean over clips
    worst_lag: float  # ms, the largest of any clip
    closures: tuple[int, int]  # bilabials seen shut, bilabials
    vowels: tuple[int, int]  # vowels seen shut in their middle, vowels
    silence: float  # mean gap where nobody has spoken for 0.1 s
    parameters: tuple[float, ...]  # correlation per parameter, mean over clips where it moves


def read(timing: Path, wav: Path) -> Clip:
    """A timing file and its sound, resampled to 16 kHz."""
    known = json.loads(timing.read_text())
    samples, rate = soundfile.read(wav, dtype="float32")
    samples = samples if rate == SAMPLE_RATE else soxr.resample(samples, rate, SAMPLE_RATE)
    translate = known["alphabet"] == "arpabet"
    segments = tuple(
        Segment(s["start"], s["end"], ARPABET[s["phone"]] if translate else s["phone"])
        for s in known["segments"]
    )
    return Clip(timing.stem, samples.astype(np.float32), segments)


def audiobook() -> list[Clip]:
    """The five sentences of Debian's pocketsphinx-testdata. Raises FileNotFoundError."""
    if not AUDIOBOOK.exists():
        raise FileNotFoundError(f"{AUDIOBOOK} is missing; apt-get install pocketsphinx-testdata")
    clips = []
    for timing in sorted(ALIGNMENTS.glob("librivox_*.json")):
        number = timing.stem.removeprefix("librivox_")
        clips.append(read(timing, next(AUDIOBOOK.glob(f"*-{number}.wav"))))
    return clips


def folder(path: Path) -> list[Clip]:
    """All clips of a folder."""
    return [read(timing, timing.with_suffix(".wav")) for timing in sorted(path.glob("*.json"))]


def ear(path: Path) -> Mouth:
    """The encoder with the network in `path`."""
    encoder = ArticulationEncoder.from_file(path)

    def mouth(samples: Array) -> Array:
        frames = frame_count(len(samples), SAMPLE_RATE)
        future = np.zeros(encoder.plan.future, np.float32)
        return encoder.open(Fraction(25)).advance(np.concatenate((samples, future)), range(frames))

    return mouth


def loudness(samples: Array) -> Array:
    """The baseline: a jaw that follows the loudness in dB, with the spread of speech."""
    frames = len(samples) // (2 * FEATURE_STEP)
    steps = np.array(LogMel().steps(samples[: 2 * frames * FEATURE_STEP])[1])
    level = np.maximum(steps.reshape(-1, 2).mean(axis=1), steps.max() - 50)
    mouth = np.zeros((frames, len(PARAMETERS)), np.float32)
    mouth[:, 0] = np.clip(0.25 + 0.19 * (level - level.mean()) / (level.std() + 1e-6), 0, 1)
    return mouth


def score(clip: Clip, mouth: Mouth) -> Score:
    """Measure one clip."""
    pose = mouth(clip.samples)
    gap = lip_gap(pose)
    fine = targets(clip.segments, len(clip.samples) / SAMPLE_RATE + 1, 100)
    centres = (np.arange(len(gap)) + 0.5) * _FRAME

    def shifted(track: Array, late: float) -> Array:
        times = (np.arange(len(track)) + 0.5) / 100
        return np.asarray(np.interp(centres - late, times, track), np.float32)

    goal = lip_gap(fine)
    by_lag = np.array([_correlation(gap, shifted(goal, ms / 1000)) for ms in _LAGS])
    peak = int(np.argmax(by_lag))
    return Score(
        clips=1,
        correlation=float(by_lag[len(_LAGS) // 2]),
        best=float(by_lag[peak]),
        lag=float(_LAGS[peak]) + _vertex(by_lag, peak) * 10,
        worst_lag=float(_LAGS[peak]) + _vertex(by_lag, peak) * 10,
        closures=_closures(clip, gap, centres),
        vowels=_vowels(clip, gap),
        silence=_silence(clip, gap, centres),
        parameters=tuple(
            _correlation(pose[:, k], shifted(fine[:, k], 0.0)) for k in range(len(PARAMETERS))
        ),
    )


def total(scores: Iterable[Score]) -> Score:
    """Means over clips, sums over closures and vowels."""
    every = list(scores)
    parameters = np.array([s.parameters for s in every])
    silences = [s.silence for s in every if not np.isnan(s.silence)]
    return Score(
        clips=len(every),
        correlation=float(np.mean([s.correlation for s in every])),
        best=float(np.mean([s.best for s in every])),
        lag=float(np.mean([s.lag for s in every])),
        worst_lag=max((s.worst_lag for s in every), key=abs),
        closures=(sum(s.closures[0] for s in every), sum(s.closures[1] for s in every)),
        vowels=(sum(s.vowels[0] for s in every), sum(s.vowels[1] for s in every)),
        silence=float(np.mean(silences)) if silences else float("nan"),
        parameters=tuple(
            float(np.nanmean(column)) if np.isfinite(column).any() else float("nan")
            for column in parameters.T
        ),
    )


def row(name: str, found: Score) -> str:
    """A line of a Markdown table."""
    seen, closures = found.closures
    shut, vowels = found.vowels
    return (
        f"| {name} | {found.correlation:.3f} | {found.best:.3f} | {found.lag:+.0f} | "
        f"{found.worst_lag:+.0f} | {seen}/{closures} | {shut}/{vowels} | {found.silence:.3f} |"
    )


HEADER = (
    "| clips | corr | best | lag ms | worst lag | closures | vowels shut | silence |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def _correlation(one: Array, other: Array) -> float:
    if one.std() < 1e-6 or other.std() < 1e-6:
        return float("nan") if other.std() < 1e-6 else 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _vertex(values: NDArray[np.float64], peak: int) -> float:
    """The maximum of a parabola through the peak and its neighbours, in -0.5..0.5 steps."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    left, middle, right = values[peak - 1 : peak + 2]
    bend = left - 2 * middle + right
    return float(0.5 * (left - right) / bend) if bend < 0 else 0.0


def _closures(clip: Clip, gap: Array, centres: NDArray[np.floating[Any]]) -> tuple[int, int]:
    seen = count = 0
    for segment in clip.segments:
        if segment.phone[:1] not in POSES or POSES[segment.phone[0]][1] is not Kind.BILABIAL:
            continue
        near = (centres >= segment.start - _NEAR) & (centres <= segment.end + _NEAR)
        count += 1
        seen += bool((gap[near] < SHUT).any())
    return seen, count


def _vowels(clip: Clip, gap: Array) -> tuple[int, int]:
    shut = count = 0
    for segment in clip.segments:
        if segment.phone[:1] not in POSES or POSES[segment.phone[0]][1] is not Kind.VOWEL:
            continue
        if segment.end - segment.start < _LONG:
            continue
        middle = min(int((segment.start + segment.end) / 2 / _FRAME), len(gap) - 1)
        count += 1
        shut += bool(gap[middle] < SHUT)
    return shut, count


def _silence(clip: Clip, gap: Array, centres: NDArray[np.floating[Any]]) -> float:
    """Mean gap of the frames that lie in pauses, 0.1 s or more from any phoneme."""
    quiet = np.ones(len(gap), bool)
    for segment in clip.segments:
        if segment.phone:
            quiet &= (centres < segment.start - 0.1) | (centres > segment.end + 0.1)
    return float(gap[quiet].mean()) if quiet.any() else float("nan")


def main() -> None:
    """Print a table per network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--clips", nargs="*", default=[], type=Path)
    parser.add_argument("--each", action="store_true", help="one row per clip")
    options = parser.parse_args()
    groups = {"audiobook": audiobook()} | {path.name: folder(path) for path in options.clips}
    mouths: dict[str, Mouth] = {str(path): ear(path) for path in options.networks}
    for name, mouth in (mouths | {"loudness": loudness}).items():
        print(f"\n{name}\n\n{HEADER}")
        for group, clips in groups.items():
            scores = [score(clip, mouth) for clip in clips]
            if options.each and len(clips) < 20:
                for clip, found in zip(clips, scores, strict=True):
                    print(row(clip.name, found))
            found = total(scores)
            print(row(f"**{group}**", found))
            figures = zip(PARAMETERS, found.parameters, strict=True)
            print(f"|   {', '.join(f'{name} {value:.2f}' for name, value in figures)} |")


if __name__ == "__main__":
    main()
