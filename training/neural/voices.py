"""Speech of many voices and languages: every utterance clean, and as a microphone would have it."""

from __future__ import annotations

import random
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipstream.media.image import Floats
from lipstream.speech.articulation.encoder import ArticulationEncoder
from lipstream.timeline import FEATURE_RATE, FEATURE_STEP, FPS, SAMPLE_RATE
from training import augment
from training.corpus import Studio
from training.neural.speech_corpus import SpeechCorpus, poses_of
from training.phonemes import Utterance

LEVEL = 0.06  # root mean square of clean speech
SILENT_EVERY = 6  # utterances between two sounds that are no speech
_BABBLE = 30  # clean utterances kept to make other people's voices of
_LANGUAGES = (
    *("en", "en", "en", "fr", "es", "it", "pt", "nl", "sv", "pl", "ca", "da", "nb", "bg", "uk"),
    *("ru", "cs", "fi", "tr", "hu", "el", "ko", "cmn"),
)
_VARIANTS = (
    *("", "", "+f1", "+f2", "+f3", "+m1", "+m2", "+m3", "+m4", "+klatt2", "+Annie", "+Alex"),
    *("+Andy", "+Denis", "+linda", "+steph", "+adam", "+boris", "+Michael", "+Alicia"),
)
_FLITE = ("slt", "awb", "kal16")


def make_speech(seed: int, utterances: int) -> SpeechCorpus:
    """Have `utterances` spoken; each is kept clean and recorded."""
    teacher = ArticulationEncoder.from_file()
    chance, sounds, babble = random.Random(seed), list[Floats](), list[Floats]()
    with tempfile.TemporaryDirectory() as passing:
        studio = Studio(seed, Path(passing))
        while len(babble) < utterances:
            try:
                take = studio.takes(_say(studio, chance), 1)[0]
            except ValueError:  # a voice lacks a word or a phone: say something else
                continue
            if len(babble) % SILENT_EVERY == 0:
                count = int(studio.dice.integers(1, 6)) * SAMPLE_RATE
                sounds.append(augment.not_speech(count, studio.dice))
            loud = np.sqrt(np.mean(np.square(take.samples))) + 1e-9
            sounds.append(np.asarray(take.samples / loud * LEVEL, np.float32))
            babble.append(sounds[-1])
            sounds.append(augment.recorded(take.samples, studio.dice, babble[-_BABBLE:]))
        studio.close()
    whole = 2 * FEATURE_STEP
    sounds = [_quantised(sound[: len(sound) // whole * whole]) for sound in sounds]
    return SpeechCorpus(
        np.concatenate([(sound * 32768).astype(np.int16) for sound in sounds]),
        np.array([len(sound) for sound in sounds], np.int64),
        np.concatenate([poses_of(teacher, sound, Fraction(FEATURE_RATE)) for sound in sounds]),
        np.concatenate([poses_of(teacher, sound, FPS) for sound in sounds]),
    )


def _say(studio: Studio, chance: random.Random) -> Utterance:
    if chance.random() < 0.35:
        return studio.flite(chance.choice(_FLITE))
    return studio.espeak(chance.choice(_LANGUAGES), chance.choice(_VARIANTS))


def _quantised(sound: Floats) -> Floats:
    """As it will be read again: 16 bits."""
    return np.asarray(np.clip(np.rint(sound * 32768), -32768, 32767) / 32768, np.float32)
