"""Clips of speech with phone timings, and sounds that are no speech.

Human clips are not kept here. `human_jfk_16k` is looked for in the folders given; the audiobook
sentences are those of Debian's `pocketsphinx-testdata`, with our alignments in `alignments/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipstream.media.audio_reader import open_audio
from lipstream.score.curves import Track
from lipstream.speech.articulation.lip_gap import lip_gap
from lipstream.timeline import SAMPLE_RATE
from training.phonemes import ARPABET, Segment, targets

if TYPE_CHECKING:
    from lipstream.media.image import Floats

HERE = Path(__file__).parent
AUDIOBOOK = Path("/usr/share/pocketsphinx/test/data/librivox")
AUDIOBOOK_SENTENCES = ("0880", "0890", "0930")  # 0870 and 0920 belong to the development set
AUDIOBOOK_NAME = "sense_and_sensibility_01_austen_64kb-{}.wav"
HUMAN = ("human_jfk_16k",)
SYNTHESISED = ("tts_en_espeak", "tts_en_flite_slt", "tts_ko_espeak", "tts_zh_espeak")

TARGET_RATE = 100  # values per second of the phoneme target
NOISE_RATE = 16_000  # Hz
NOISE_SECONDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A recording and its phones with their times."""

    name: str
    human: bool
    samples: Floats  # (n,) in -1..1
    sample_rate: int
    segments: tuple[Segment, ...]  # IPA

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate

    def poses(self, rate: int) -> Floats:
        """(n, 7) what a mouth does while it says this, `rate` rows a second, at their middles."""
        return targets(self.segments, self.seconds, rate)

    def target(self) -> Track:
        """The gap between the lips that the phonemes call for, 0..1."""
        gap = lip_gap(self.poses(TARGET_RATE)).astype(np.float64)
        return Track(gap, TARGET_RATE, 0.5 / TARGET_RATE)


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Something at which a mouth stays shut."""

    name: str
    samples: Floats
    sample_rate: int


def load_clips(folders: Iterable[Path]) -> list[Clip]:
    """All clips that can be found, human ones first. `folders` may hold further ones."""
    places = [*folders, HERE / "clips"]
    found = [
        load_clip(wav, wav.with_suffix(".json"), human=name in HUMAN)
        for name in (*HUMAN, *SYNTHESISED)
        if (wav := _find(f"{name}.wav", places)) is not None
    ]
    found += [
        load_clip(wav, HERE / "alignments" / f"librivox_{number}.json", human=True)
        for number in AUDIOBOOK_SENTENCES
        if (wav := AUDIOBOOK / AUDIOBOOK_NAME.format(number)).exists()
    ]
    return sorted(found, key=lambda clip: not clip.human)


def load_clip(wav: Path, timing: Path, human: bool) -> Clip:
    """A recording and its timing file: segments with start, end (seconds) and phone."""
    record = json.loads(timing.read_text())
    spell = ARPABET if record["alphabet"] == "arpabet" else {}
    segments = tuple(
        Segment(entry["start"], entry["end"], spell.get(entry["phone"], entry["phone"]))
        for entry in record["segments"]
    )
    with open_audio(wav) as sound:
        samples = np.concatenate([chunk.mono() for chunk in sound])
        return Clip(timing.stem, human, samples, sound.sample_rate, segments)


def joined_speech(seconds: int) -> Floats:
    """(seconds * 16000,) the synthesised clips one after the other, over again until it lasts."""
    clips = []
    for name in SYNTHESISED:
        with open_audio(HERE / "clips" / f"{name}.wav") as sound:
            assert sound.sample_rate == SAMPLE_RATE
            clips += [chunk.mono() for chunk in sound]
    return np.resize(np.concatenate(clips), seconds * SAMPLE_RATE)


def shut_sounds() -> list[Sound]:
    """Silence, room noise, loud pink noise and mains hum, the same in every run."""
    count = NOISE_SECONDS * NOISE_RATE
    random = np.random.default_rng(1)
    white = random.standard_normal(count)
    spectrum = np.fft.rfft(random.standard_normal(count))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    sounds = {"silence": np.zeros(count), "room -60 dBFS": _at(white, -60)}
    sounds["pink -26 dBFS"] = _at(pink, -26)
    time = np.arange(count) / NOISE_RATE
    for mains in (50, 60):
        # Fundamental and harmonics, the odd ones stronger, as a transformer or a ground loop hums.
        hum = sum(
            np.sin(2 * np.pi * mains * k * time + k) / k * (1.0 if k % 2 else 0.4)
            for k in range(1, 16)
        )
        sounds[f"hum {mains} Hz -30 dBFS"] = _at(np.asarray(hum), -30)
    return [Sound(name, samples.astype(np.float32), NOISE_RATE) for name, samples in sounds.items()]


def _at(samples: np.ndarray, level: float) -> np.ndarray:
    """`samples` with a root mean square of `level` dB below full scale."""
    return np.asarray(samples / np.sqrt(np.mean(samples**2)) * 10 ** (level / 20))


def _find(name: str, folders: Iterable[Path]) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).exists()), None)
