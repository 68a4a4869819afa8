"""The tables of REPORT.md: languages, voices, recording conditions and sounds that are no speech.

    python -m training.report NET.npz [NET.npz ...] --human FOLDER

`--human` holds further human clips with timing files. Unseen texts are spoken with fixed seeds, so
that all networks hear the same.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from lipstream.speech.articulation.lip_gap import lip_gap
from lipstream.timeline import SAMPLE_RATE
from training import augment, corpus, evaluate
from training.evaluate import Array, Clip, Mouth
from training.phonemes import Utterance

_LANGUAGES = "en de ja ko cmn fr es it pt nl sv pl da ru cs fi tr hu vi hi".split()
_FESTIVAL = ("kal_diphone", "lp_diphone", "czech_dita", "msu_ru_nsh_clunits", "hindi_NSK_diphone")
_SEED = 4242
_EACH = 8  # utterances per voice or language


def spoken(folder: Path) -> dict[str, list[Clip]]:
    """Unseen texts per language and per recorded voice, clean, at -26 dBFS."""
    studio = corpus.Studio(_SEED, folder)
    groups: dict[str, list[Clip]] = {}
    for language in _LANGUAGES:
        held = language in corpus.HELD_LANGUAGES
        name = f"espeak {language}{' (held out)' if held else ''}"
        variants = [f"+{v}" for v in corpus.HELD_VARIANTS] if held else ["", "+f2", "+m3", "+f5"]
        groups[name] = [
            _clip(name, lambda v=v, c=language: studio.espeak(c, v))  # type: ignore[misc]
            for v in (variants * _EACH)[:_EACH]
        ]
    for voice in (corpus.HELD_FLITE, "slt", "awb"):
        name = f"flite {voice}{' (held out)' if voice == corpus.HELD_FLITE else ''}"
        groups[name] = [
            _clip(name, lambda v=voice: studio.flite(v))  # type: ignore[misc]
            for _ in range(_EACH)
        ]
    for voice in _FESTIVAL:
        name = f"festival {voice}"
        groups[name] = [
            _clip(name, lambda v=voice: studio.festival(v))  # type: ignore[misc]
            for _ in range(_EACH)
        ]
    studio.close()
    return groups


def _clip(name: str, speak: Callable[[], Utterance]) -> Clip:
    take = corpus.padded(corpus.warped(speak(), 1.0), 0.4, 0.4)
    noise = np.random.default_rng(0).standard_normal(len(take.samples)) * 2e-4
    sound = take.samples / np.sqrt(np.mean(take.samples**2)) * 0.05 + noise
    return Clip(name, sound.astype(np.float32), take.segments)


def conditions() -> dict[str, Callable[[Array], Array]]:
    """Ways to spoil a recording."""

    def with_noise(decibels: float, colour: list[float]) -> Callable[[Array], Array]:
        def spoil(sound: Array) -> Array:
            noise = augment.coloured(len(sound), colour, np.random.default_rng(1))
            level = np.sqrt(np.mean(sound**2)) * 10 ** (-decibels / 20)
            return np.asarray(sound + noise * level, np.float32)

        return spoil

    return {
        "as it is": lambda sound: sound,
        "20 dB quieter": lambda sound: sound * np.float32(0.1),
        "at -42 dBFS": lambda sound: np.asarray(
            sound * (10 ** (-42 / 20) / np.sqrt(np.mean(sound**2))), np.float32
        ),
        "12 dB louder, clipped": lambda sound: np.clip(sound * np.float32(4), -1, 1),
        "white noise 20 dB": with_noise(20, [1]),
        "white noise 10 dB": with_noise(10, [1]),
        "pink noise 10 dB": with_noise(10, [1, -0.95]),
        "telephone": lambda sound: augment.band(sound, 300, 3400, 4),
    }


def no_speech() -> dict[str, Array]:
    """Four seconds each of what is no speech."""
    count = 4 * SAMPLE_RATE
    dice = np.random.default_rng(5)
    times = np.arange(count) / SAMPLE_RATE
    white = augment.coloured(count, [1], dice)
    pink = augment.coloured(count, [1, -0.95], dice)
    chord = np.sum([np.sin(2 * np.pi * f * times) for f in (220, 277.2, 329.6)], axis=0)
    late = np.where(times > 1, white * 0.03, 0)
    found = {
        "digital silence": np.zeros(count),
        "room noise, -60 dBFS": white * 1e-3,
        "white noise, -30 dBFS": white * 10 ** (-30 / 20),
        "white noise, -30 dBFS, after a second of nothing": late,
        "pink noise, -26 dBFS": pink * 10 ** (-26 / 20),
        "pink noise, -12 dBFS": pink * 10 ** (-12 / 20),
        "mains hum, -26 dBFS": augment.hum(count, dice) * 0.05,
        "chord, -20 dBFS": chord * 0.1 / np.sqrt(np.mean(chord**2)),
    }
    return {name: np.asarray(sound, np.float32) for name, sound in found.items()}


def tables(mouths: dict[str, Mouth], human: Iterable[Clip]) -> None:
    """Print all tables."""
    people = [*evaluate.audiobook(), *human]
    with tempfile.TemporaryDirectory() as folder:
        groups = spoken(Path(folder))
    for name, mouth in mouths.items():
        print(f"\n## {name}\n\nUnseen texts\n\n{evaluate.HEADER}")
        for group, clips in groups.items():
            print(evaluate.row(group, evaluate.total(evaluate.score(c, mouth) for c in clips)))
        print(f"\nHuman recordings, spoiled\n\n{evaluate.HEADER}")
        for condition, spoil in conditions().items():
            spoiled = [Clip(c.name, spoil(c.samples), c.segments) for c in people]
            found = evaluate.total(evaluate.score(c, mouth) for c in spoiled)
            print(evaluate.row(condition, found))
        print("\nNo speech\n\n| sound | mean gap | highest | largest jump |")
        print("| --- | --- | --- | --- |")
        for sound, samples in no_speech().items():
            gap = lip_gap(mouth(samples))
            jump = np.abs(np.diff(gap)).max()
            print(f"| {sound} | {gap.mean():.4f} | {gap.max():.3f} | {jump:.3f} |")


def main() -> None:
    """Print the tables of some networks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--human", nargs="*", default=[], type=Path)
    options = parser.parse_args()
    human = [clip for path in options.human for clip in evaluate.folder(path)]
    tables({str(path): evaluate.ear(path) for path in options.networks}, human)


if __name__ == "__main__":
    main()
