"""The agreement of the mouth with the embedded voice, beside flite saying the same text.

    python -m benchmarks.cpu.embedded_voice [--portrait NAME] [--shifts MS ...]

The phonemes' times are the voice's own. Three readings of them: `raw` takes each mark and blank
between words for a silence, `joined` gives its time to the sound before it (or after a stress
mark), `joined N ms` moves those labels by N. A gap between them is the labels' and not the mouth's.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from benchmarks.clips import Clip, load_clips
from benchmarks.cpu import scores
from benchmarks.cpu.portraits import PORTRAITS
from benchmarks.cpu.speech_inputs import InputSource
from benchmarks.cpu.tracked_render import STILL, TrackingRenderer, avatar_of
from lipstream.speech.articulation.encoder import ArticulationEncoder
from lipstream.speech.synthesis.hibari_voice import FULL_SCALE, SAMPLE_RATE, HibariVoice
from training.phonemes import Segment

TEXTS = (
    # What flite says in the clip tts_en_flite_slt.
    "My mother and Bob brought a pumpkin from the farm. Why do we move slowly over the open field?",
    "The quick brown fox jumps over the lazy dog. Please bring the map of every empty room. "
    "Five brave men came back from the warm summer beach.",
)
# misaki's letters in IPA, https://github.com/hexgrad/misaki/blob/main/EN_PHONES.md
IPA = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "ʤ": "dʒ", "ʧ": "tʃ", "T": "ɾ",
       "ᵊ": "ə"}  # fmt: skip
STRESS, PAUSES = "ˈˌ", ".,!?;:—…"


def main() -> None:
    options = _options()
    voice, driver = HibariVoice(), InputSource(ArticulationEncoder.from_file())
    renderer, avatar = TrackingRenderer(STILL), avatar_of(PORTRAITS[options.portrait]())
    print(
        f"{'clip':<22}{'corr':>7}{'offset':>8}{'peak':>7}{'closures':>10}{'range':>8}{'encoder':>9}"
    )
    for clip in load_clips([]):
        if clip.name == "tts_en_flite_slt":
            seen = renderer.render(avatar, driver.real(clip))
            _print(scores.score(options.portrait, clip, seen))
    for n, text in enumerate(TEXTS):
        raw, joined = said(voice, text, False), said(voice, text, True)
        seen = renderer.render(avatar, driver.real(joined))
        readings = {"raw": raw, "joined": joined}
        readings |= {f"joined {ms} ms": moved(joined, ms) for ms in options.shifts}
        for name, clip in readings.items():
            one = scores.score(options.portrait, clip, seen)
            _print(replace(one, clip=f"heart {n + 1} {name}"))


def said(voice: HibariVoice, text: str, joined: bool) -> Clip:
    """The text in the embedded voice, with its phonemes."""
    segments: list[Segment] = []
    waves, at = [], 0
    for line in voice.phonemes_of(text):
        samples, starts = voice.synthesize(line)
        times = (starts + at) / SAMPLE_RATE
        segments += _segments(line, times.tolist(), joined)
        waves.append(samples)
        at += len(samples)
    sound = np.asarray(np.concatenate(waves) / FULL_SCALE, np.float32)
    return Clip("heart", False, sound, SAMPLE_RATE, tuple(segments))


def moved(clip: Clip, ms: int) -> Clip:
    """The same sound with labels that are later by `ms`, or earlier below 0."""
    by = ms / 1000
    segments = [Segment(max(0.0, s.start + by), s.end + by, s.phone) for s in clip.segments]
    return replace(clip, segments=tuple(segments))


def _segments(line: str, times: list[float], joined: bool) -> list[Segment]:
    found: list[Segment] = []
    begun: float | None = None  # of a stress mark, whose time is that of the sound after it
    for mark, start, end in zip(line, times, times[1:], strict=False):
        if joined and mark in STRESS:
            begun = start if begun is None else begun
        elif joined and found and not mark.isalpha() and mark not in PAUSES:
            found[-1] = replace(found[-1], end=end)
        else:
            phone = IPA.get(mark, mark) if mark.isalpha() else ""
            found.append(Segment(start if begun is None else begun, end, phone))
            begun = None
    return found


def _print(one: scores.Score) -> None:
    print(
        f"{one.clip:<22}{one.corr:7.2f}{one.offset:8.0f}{one.peak:7.2f}"
        f"{f'{one.closures.hits}/{one.closures.total}':>10}{one.range:8.3f}{one.encoder:9.2f}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--portrait", choices=tuple(PORTRAITS), default="closed")
    parser.add_argument("--shifts", type=int, nargs="*", default=[-25, 25], metavar="MS")
    return parser.parse_args()


if __name__ == "__main__":
    main()
