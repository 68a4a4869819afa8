"""Whisper: log-mel, hidden states, and (in `windows`) what each frame gets of them."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipstream.speech.musetalk.backbone import PIECE
from lipstream.speech.musetalk.whisper import (
    WhisperDimensions,
    WhisperEncoder,
    WhisperSpeech,
    log_mel,
)
from tests.golden_cases.comparing import Case, label, near, not_compared, read_case
from tests.golden_cases.filling import built, config_of, gain_of
from tests.golden_cases.outcome import Outcome
from tests.golden_cases.windows import check_windows

MEL = HIDDEN = 1e-4
KNOWN = {  # what the sound is, and what `windows` compares
    *("n_samples", "fps", "pad_left", "pad_right", "seed", "gain", "int_fps", "librosa_length"),
    *("waveform_i16", "waveform_i16_crc32", "error", "num_frames", "prompt_frames_full_idx"),
    *("prompt_frames_full", "prompt_all_sub", "prompt_mean_std_per_frame"),
}
SCALE = 6.0  # of the hidden states that the limit was measured at


def check(path: Path) -> list[Outcome]:
    """Compare the sound, the hidden states and the windows of a recording."""
    case = read_case(path)
    seen = []
    if "mel_shape" in case:
        seen += _mel(path, case) + not_compared(path, case, KNOWN | _mel_names(case))
    if "stats" in case:
        seen += _hidden_states(path, case)
    return seen + check_windows(path, WhisperSpeech(filled(path, gain_of(path, case))))


def _mel(path: Path, case: Case) -> list[Outcome]:
    """The log-mel columns of each piece of 30 s."""
    name = label(path)
    sound = torch.from_numpy(case["waveform_i16"].astype(np.float32) / 32768.0)
    starts = range(0, len(sound), PIECE)
    mel = torch.stack([log_mel(sound[start : start + PIECE]) for start in starts]).numpy()
    stats = np.stack([of(mel, axis=(1, 2), dtype=np.float64) for of in (np.mean, np.std)], 1)
    extremes = np.stack([mel.min(axis=(1, 2)), mel.max(axis=(1, 2))], axis=1)
    ours: dict[str, NDArray[Any]] = {
        "n_segments": np.array(len(mel)),
        "mel_shape": np.array(mel.shape[1:]),
        "mel_stats_mean_std_min_max_per_segment": np.concatenate((stats, extremes), axis=1),
    }
    for key in case:
        if key.startswith("mel_sub_every"):
            ours[key] = mel[:, :, :: int(key.removeprefix("mel_sub_every"))]
        elif key.startswith("mel_seg0_first"):
            ours[key] = mel[0, :, : int(key.removeprefix("mel_seg0_first"))]
    return [near(f"{name} {key}", ours[key], case[key], MEL) for key in ours]


def _mel_names(case: Case) -> set[str]:
    """The arrays that `_mel` compares."""
    return {key for key in case if key.startswith(("mel_", "n_segments"))}


def _hidden_states(path: Path, case: Case) -> list[Outcome]:
    """All states of one drawn mel picture."""
    name, network = label(path), filled(path, gain_of(path, case))
    sizes = network.dimensions
    shape = (int(case["shape"][0]), sizes.mel_bins, 2 * int(case["shape"][1]))
    drawn = np.random.RandomState(int(case["seed"])).standard_normal(shape).astype(np.float32)
    with torch.inference_mode():
        states = network(torch.from_numpy(drawn)).numpy()
    every = next(key for key in case if key.startswith("sub_every"))
    step = int(re.findall(r"\d+", every)[0])
    layers = [states[:, :, layer].astype(np.float64) for layer in range(states.shape[2])]
    ours: dict[str, NDArray[Any]] = {
        "shape": np.array(states.shape),
        every: states[:, ::step],
        "last_frame": states[:, -1],
        "stats": np.array([(layer.mean(), layer.std()) for layer in layers]),
    }
    scale = max(1.0, float(np.abs(case[every]).max()) / SCALE)
    return [near(f"{name} {key}", ours[key], case[key], HIDDEN * scale) for key in ours]


def filled(path: Path, gain: float) -> WhisperEncoder:
    """The encoder with the recording's weights, loaded strictly."""
    return _filled(next((path.parents[1] / "manifests").glob("whisper*_encoder.json")), gain)


@lru_cache(maxsize=1)
def _filled(manifest: Path, gain: float) -> WhisperEncoder:
    config = config_of(manifest.with_name(manifest.name.replace("_encoder", "")))
    return built(lambda: WhisperEncoder(WhisperDimensions.from_config(config)), manifest, gain)
