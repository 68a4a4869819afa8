"""Frame counts, window indices and prompts: which features each frame gets.

Every recording is compared with upstream's rule written down again, which must reproduce it, and
with ours: equal where upstream centres its windows and keeps whole frames, different on purpose
where it does not.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipstream.media.audio import AudioChunk
from lipstream.speech.musetalk.audio_windows import AudioWindowEncoder
from lipstream.speech.musetalk.backbone import PIECE, Excerpt, SpeechNetwork
from lipstream.speech.musetalk.windowing import tokens, window_steps
from lipstream.stream import LipSyncStream
from lipstream.timeline import FEATURE_RATE, SAMPLE_RATE, frame_count
from tests.fakes import blank_avatar
from tests.golden_cases.comparing import Case, label, near, read_case
from tests.golden_cases.outcome import Outcome

LIMIT = 1e-4
INDICES = re.compile(r"n(?P<samples>\d+)_fps(?P<fps>[\d.]+)_l(?P<left>\d+)_r(?P<right>\d+)")

FRACTIONAL = "upstream cuts the rate to a whole number, so video and sound run apart; ours does not"
OFF_CENTRE = (
    "upstream's windows leave the middle below 25 and from 50 frames per second; ours do not"
)
LOSES_FRAME = "upstream's floating point loses a frame of a round duration; ours counts integers"
GIVES_UP = "upstream ends the program on short clips and high rates; ours renders them"


def check_windows(path: Path, network: SpeechNetwork) -> list[Outcome]:
    """The counts, windows and prompts of a recording of the folder `whisper`."""
    case = read_case(path)
    if "rows" in case and "columns" in case:
        return _frame_counts(path, case)
    if "waveform_i16" in case:
        return _prompts(path, case, network)
    found = [(key, INDICES.fullmatch(key)) for key in case]
    return [
        outcome
        for key, match in found
        if match is not None
        for outcome in _window_indices(f"{label(path)} {key}", case[key], match)
    ]


def upstream_counts(samples: int, fps: float) -> tuple[int, int]:
    """Frames and steps by upstream's floating point, in its order."""
    frames = math.floor(samples / SAMPLE_RATE * int(fps))
    return frames, math.floor(samples / SAMPLE_RATE * FEATURE_RATE)


def upstream_steps(
    samples: int, fps: float, left: int = 2, right: int = 2
) -> NDArray[np.int64] | None:
    """The step of each place in each window, -1 for a zero vector; None where upstream gives up."""
    frames, steps = upstream_counts(samples, fps)
    per_frame = FEATURE_RATE / int(fps)
    # The zeros are made by slicing the features, so there are never more of them than features.
    front = min(steps, math.ceil(per_frame) * left)
    back = min(steps, math.ceil(per_frame) * 3 * right)
    length = 2 * (left + right + 1)
    chosen = np.array([math.floor(frame * per_frame) for frame in range(frames)], np.int64)
    if steps == 0 or (frames and chosen[-1] + length > front + steps + back):
        return None
    chosen = chosen[:, None] + np.arange(length) - front
    return np.where((chosen >= 0) & (chosen < steps), chosen, -1)


def difference(samples: int, fps: float) -> str:
    """The reason why our windows differ on purpose from upstream's; empty if they must not."""
    if upstream_steps(samples, fps) is None:
        return GIVES_UP
    if fps != int(fps):
        return FRACTIONAL
    if not 25 <= fps < 50:
        return OFF_CENTRE
    if upstream_counts(samples, fps)[0] != frame_count(samples, SAMPLE_RATE, Fraction(int(fps))):
        return LOSES_FRAME
    return ""


def rate(fps: float) -> Fraction:
    """The exact rate that a rounded number stands for."""
    return Fraction(str(fps))


def _frame_counts(path: Path, case: Case) -> list[Outcome]:
    rows = np.asarray(case["rows"], np.float64)
    theirs, ours, reasons = [], [], set()
    for samples, fps, *_ in rows.tolist():
        theirs.append(upstream_counts(int(samples), fps))
        ours.append(int(samples * rate(fps) / SAMPLE_RATE) or int(samples > 0))
        if ours[-1] != theirs[-1][0]:
            reasons.add(difference(int(samples), fps) or LOSES_FRAME)
    exact = [
        frame_count(int(samples), SAMPLE_RATE, rate(fps)) for samples, fps, *_ in rows.tolist()
    ]
    done = rows[:, 4] == 0  # upstream has counts only where it did not give up
    gave_up = [upstream_steps(int(samples), fps) is None for samples, fps, *_ in rows.tolist()]
    different = near(f"{label(path)} our frames", np.array(ours)[done], rows[done, 2])
    why = "; ".join(sorted(reasons))
    return [
        near(f"{label(path)} upstream's rule, frames", np.array(theirs)[done, 0], rows[done, 2]),
        near(f"{label(path)} upstream's rule, steps", np.array(theirs)[done, 1], rows[done, 3]),
        near(f"{label(path)} upstream's rule, where it gives up", gave_up, ~done),
        near(f"{label(path)} our frames are exact", exact, ours),
        Outcome(different.name, different.error, 0, why if different.error else ""),
    ]


def _window_indices(
    name: str, recorded: NDArray[np.generic], match: re.Match[str]
) -> list[Outcome]:
    samples, fps = int(match["samples"]), float(match["fps"])
    left, right = int(match["left"]), int(match["right"])
    theirs = upstream_steps(samples, fps, left, right)
    expected = np.zeros(recorded.shape) if theirs is None and not recorded.size else theirs
    if expected is None:
        expected = np.zeros((0, 0))
    frames = range(frame_count(samples, SAMPLE_RATE, rate(fps)))
    ours = window_steps(frames, rate(fps), 2 * left, 2 * right + 2)
    steps = samples * FEATURE_RATE // SAMPLE_RATE
    ours = np.where((ours >= 0) & (ours < steps), ours, -1)
    different = near(f"{name}, our windows", ours, recorded)
    return [
        near(f"{name}, upstream's rule", expected, recorded),
        Outcome(different.name, different.error, 0, difference(samples, fps)),
    ]


def _prompts(path: Path, case: Case, network: SpeechNetwork) -> list[Outcome]:
    samples, fps = int(case["n_samples"]), float(case["fps"])
    theirs = upstream_steps(samples, fps, int(case["pad_left"]), int(case["pad_right"]))
    name, why = label(path), difference(samples, fps)
    recorded = int(case["num_frames"])
    counted = -1 if theirs is None else len(theirs)
    seen = [near(f"{name} upstream's rule, frames", counted, recorded)]
    sound = np.asarray(case["waveform_i16"], np.int16)
    ours = _our_prompts(sound, rate(fps), network)
    exact = frame_count(samples, SAMPLE_RATE, rate(fps))
    seen.append(near(f"{name} our frames", len(ours), exact))
    if theirs is None:
        error = near(f"{name} our frames against upstream's", len(ours), recorded)
        return [*seen, Outcome(error.name, error.error, 0, why)]
    wave = np.asarray(sound / 32768, np.float32)
    pieces = [Excerpt(wave[start : start + PIECE]) for start in range(0, len(wave), PIECE)]
    features = np.concatenate(network.features(pieces))
    for prompts, whose, intended in (
        (tokens(features, theirs), "upstream's rule", ""),
        (ours, "ours", why),
    ):
        for key, mine in _views(case, prompts).items():
            outcome = near(f"{name} {key}, {whose}", mine, case[key], LIMIT)
            seen.append(Outcome(outcome.name, outcome.error, LIMIT, intended))
    return seen


def _our_prompts(
    sound: NDArray[np.int16], fps: Fraction, network: SpeechNetwork
) -> NDArray[np.float32]:
    """The conditionings of the real path: (frames, tokens, width)."""
    encoder = AudioWindowEncoder(network)
    stream = LipSyncStream(blank_avatar(), encoder, fps=fps)
    segments = stream.push(AudioChunk(sound, SAMPLE_RATE)) + stream.end()
    rows = encoder.encode([segment.context for segment in segments])
    return np.concatenate(rows)


def _views(case: Case, prompts: NDArray[np.float32]) -> dict[str, NDArray[np.floating]]:
    """The parts of all prompts that a recording holds."""
    views: dict[str, NDArray[np.floating]] = {}
    if "prompt_frames_full" in case:
        where = np.asarray(case["prompt_frames_full_idx"], np.int64)
        inside = np.clip(where, 0, len(prompts) - 1)
        views["prompt_frames_full"] = prompts[inside]
    if "prompt_all_sub" in case:
        step = -(-prompts.shape[2] // case["prompt_all_sub"].shape[2])
        views["prompt_all_sub"] = prompts[:, :, ::step]
    if "prompt_mean_std_per_frame" in case:
        wide = prompts.astype(np.float64)
        views["prompt_mean_std_per_frame"] = np.stack([wide.mean((1, 2)), wide.std((1, 2))], 1)
    return views
