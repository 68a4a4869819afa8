"""Make the training data: spoken texts, their features and their targets, in shards.

    python -m training.corpus FOLDER --seed 1 --utterances 1000

Each shard is `train-SEED-N.npz` (and one `held-SEED.npz`), with float16 `features` (steps, 82) and
`targets` (steps, 8), `lengths` (items,) and `voices` (items,). The last target is the presence of
speech. Japanese, German, flite's `rms` and some espeak variants are held out: never trained on.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from dataclasses import dataclass, field
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from lipstream.speech.articulation.log_mel import LogMel
from lipstream.timeline import FEATURE_STEP, SAMPLE_RATE
from training import augment, flite
from training.espeak import espeak
from training.festival import VOICES, Festival
from training.phonemes import Segment, Utterance, gestures, targets
from training.texts import sentence

HELD_LANGUAGES = ("de", "ja")
HELD_VARIANTS = ("f4", "m7", "klatt3", "anika", "Gene")
HELD_FLITE = "rms"

# fmt: off
_ESPEAK = {
    "en": "en-us en-us gmw/en en-gb-scotland en-gb-x-rp en-029 en-us-nyc", "fr": "fr fr-be",
    "de": "de", "es": "es es-419", "it": "it", "pt": "pt pt-br", "nl": "nl", "sv": "sv", "pl": "pl",
    "ca": "ca", "da": "da", "nb": "nb", "bg": "bg", "uk": "uk", "ru": "ru", "cs": "cs", "fi": "fi",
    "tr": "tr", "hu": "hu", "id": "id", "sw": "sw", "el": "el", "ka": "ka", "vi": "vi", "hi": "hi",
    "te": "te", "ko": "ko", "cmn": "cmn-latn-pinyin", "ja": "ja",
}
_VARIANTS = (
    "", "", "", "+f1", "+f2", "+f3", "+f5", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m8",
    "+klatt", "+klatt2", "+klatt4", "+klatt5", "+Annie", "+Alex", "+Andy", "+Denis", "+Diogo",
    "+Mario", "+Michael", "+Alicia", "+Andrea", "+Hugo", "+Jacky", "+Lee", "+Marco", "+linda",
    "+steph", "+david", "+belinda", "+edward", "+travis", "+adam", "+antonio", "+aunty", "+boris",
    "+caleb", "+john", "+paul", "+pedro", "+quincy", "+rob", "+robert", "+shelby", "+victor",
)
_FLITE = ("slt", "slt", "awb", "awb", "kal16")
# fmt: on
_FAMILIAR = ("en", "en", "en", "en", "ko", "cmn", "es", "fr")  # drawn once more than the others
_BABBLE = 30  # clean utterances kept to make other people's voices of


@dataclass(slots=True)
class Shard:
    """Items on their way to a file."""

    features: list[NDArray[np.float16]] = field(default_factory=list)
    targets: list[NDArray[np.float16]] = field(default_factory=list)
    voices: list[str] = field(default_factory=list)

    def add(self, sound: NDArray[np.float32], goal: NDArray[np.float32], voice: str) -> None:
        """Hear `sound`, (samples,) at 16 kHz; `goal` is (steps, 8)."""
        features = hear(sound)
        steps = min(len(features), len(goal))
        self.features.append(features[:steps].astype(np.float16))
        self.targets.append(goal[:steps].astype(np.float16))
        self.voices.append(voice)

    def save(self, path: Path) -> None:
        """Write the items and forget them."""
        np.savez(
            path,
            features=np.concatenate(self.features),
            targets=np.concatenate(self.targets),
            lengths=np.array([len(item) for item in self.features]),
            voices=np.array(self.voices),
        )
        hours = sum(map(len, self.features)) * FEATURE_STEP / SAMPLE_RATE / 3600
        print(f"{path.name}: {len(self.features)} items, {hours:.2f} h", flush=True)
        self.features, self.targets, self.voices = [], [], []


def hear(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """The features of a whole sound, by the front end that ships: (steps, 82)."""
    steps = len(sound) // FEATURE_STEP
    return LogMel().steps(sound[: steps * FEATURE_STEP])[0]


def goals(segments: tuple[Segment, ...], duration: float) -> NDArray[np.float32]:
    """The targets of each 20 ms step: (steps, 8), at the middle of the step."""
    fine = targets(segments, duration, 100)
    fine = fine[: len(fine) // 2 * 2].reshape(-1, 2, 7).mean(axis=1)
    presence = np.zeros((len(fine), 1), np.float32)
    for gesture in gestures(segments):
        if gesture.symbol:
            presence[max(int(gesture.start * 50) - 1, 0) : int(gesture.end * 50) + 2] = 1.0
    return np.concatenate((fine, presence), axis=1)


def warped(utterance: Utterance, factor: float) -> Utterance:
    """At 16 kHz, spoken `factor` times as fast and as high: formants and times move together."""
    rate = round(utterance.sample_rate * factor / 50) * 50
    common = gcd(SAMPLE_RATE, rate)
    samples = resample_poly(utterance.samples, SAMPLE_RATE // common, rate // common)
    exact = rate / utterance.sample_rate
    segments = (Segment(s.start / exact, s.end / exact, s.phone) for s in utterance.segments)
    return Utterance(samples.astype(np.float32), SAMPLE_RATE, tuple(segments), utterance.voice)


def padded(utterance: Utterance, before: float, after: float) -> Utterance:
    """With seconds of silence around it."""
    samples = np.pad(utterance.samples, (int(before * SAMPLE_RATE), int(after * SAMPLE_RATE)))
    segments = [Segment(0.0, before, "")]
    segments += [Segment(s.start + before, s.end + before, s.phone) for s in utterance.segments]
    segments.append(Segment(segments[-1].end, len(samples) / SAMPLE_RATE, ""))
    return Utterance(samples, SAMPLE_RATE, tuple(segments), utterance.voice)


class Studio:
    """All voices of one process."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.dice = np.random.default_rng(seed)
        self._folder = folder
        # One festival per language: what a voice changes in its festival leaks into the next.
        self._festivals: dict[str, Festival] = {}

    def close(self) -> None:
        """End the programs behind the voices."""
        for festival in self._festivals.values():
            festival.close()

    def training(self) -> Utterance:
        """Somebody says something."""
        kind = self.chance.random()
        if kind < 0.28:
            return self.flite(self.chance.choice(_FLITE))
        if kind < 0.60:
            return self.festival(self.chance.choice(tuple(VOICES)))
        languages = [*(code for code in _ESPEAK if code not in HELD_LANGUAGES), *_FAMILIAR]
        return self.espeak(self.chance.choice(languages), self.chance.choice(_VARIANTS))

    def held_out(self) -> Utterance:
        """Speech of a voice that is not in the training set."""
        if self.chance.random() < 0.4:
            return self.flite(HELD_FLITE)
        variant = "+" + self.chance.choice(HELD_VARIANTS)
        return self.espeak(self.chance.choice(HELD_LANGUAGES), variant)

    def espeak(self, language: str, variant: str) -> Utterance:
        """espeak-ng in a random mood."""
        voice = self.chance.choice(_ESPEAK[language].split()) + variant
        rate, pitch, spread = (self.chance.randint(*r) for r in ((120, 230), (25, 75), (20, 80)))
        return espeak().say(sentence(language, self.chance), voice, rate, pitch, spread)

    def flite(self, voice: str) -> Utterance:
        """flite, slow or fast."""
        stretch = self.chance.uniform(0.75, 1.3)
        return flite.say(sentence("en", self.chance), voice, stretch, self._folder)

    def festival(self, voice: str) -> Utterance:
        """festival, slow or fast."""
        language = VOICES[voice][0]
        if language not in self._festivals:
            self._festivals[language] = Festival(self._folder)
        text = sentence(language, self.chance)
        return self._festivals[language].say(text, voice, self.chance.uniform(0.8, 1.3))

    def takes(self, utterance: Utterance, count: int) -> list[Utterance]:
        """`count` warped and padded versions."""
        return [
            padded(
                warped(utterance, self.chance.uniform(0.82, 1.2)),
                self.chance.uniform(0.05, 0.8),
                self.chance.uniform(0.1, 0.8),
            )
            for _ in range(count)
        ]


def make(folder: Path, seed: int, utterances: int) -> None:
    """Write shards of 250 utterances to `folder`."""
    refused = 0
    babble: list[NDArray[np.float32]] = []
    shard = Shard()
    with tempfile.TemporaryDirectory() as passing:
        studio = Studio(seed, Path(passing))
        _held_out(studio, utterances // 25).save(folder / f"held-{seed}.npz")
        for index in range(utterances):
            try:
                utterance = studio.training()
            except ValueError as error:  # a voice lacks a word or a phone: say something else
                refused += 1
                print(f"refused: {error}", flush=True)
                continue
            for take in studio.takes(utterance, 2):
                goal = goals(take.segments, len(take.samples) / SAMPLE_RATE)
                for _ in range(2 if utterance.voice.startswith(("flite", "festival")) else 1):
                    sound = augment.recorded(take.samples, studio.dice, babble)
                    shard.add(sound, goal, utterance.voice)
            babble = [*babble, take.samples][-_BABBLE:]
            if index % 5 == 0:
                count = int(studio.dice.integers(2, 8)) * SAMPLE_RATE
                noise = augment.not_speech(count, studio.dice)
                shard.add(noise, np.zeros((count // FEATURE_STEP, 8), np.float32), "no speech")
            if index % 250 == 249 or index == utterances - 1:
                shard.save(folder / f"train-{seed}-{index // 250}.npz")
        studio.close()
    print(f"{refused} of {utterances} refused")


def _held_out(studio: Studio, count: int) -> Shard:
    shard = Shard()
    for _ in range(count):
        take = padded(warped(studio.held_out(), 1.0), 0.4, 0.4)
        sound = take.samples / np.sqrt(np.mean(take.samples**2)) * 0.05
        sound += studio.dice.standard_normal(len(sound)) * 2e-4
        goal = goals(take.segments, len(sound) / SAMPLE_RATE)
        shard.add(sound.astype(np.float32), goal, take.voice)
    return shard


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--utterances", type=int, default=1000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    make(options.folder, options.seed, options.utterances)
