"""Time, in integers: frame index <-> sample position <-> milliseconds.

Every time constant of the project is derived here. A frame rate is an exact `Fraction`; positions
are floors of exact rationals, so nothing drifts however long a stream runs.
"""

from __future__ import annotations

from fractions import Fraction

SAMPLE_RATE = 16_000  # Hz; of the samples that every speech encoder takes
FPS = Fraction(25)  # frames per second unless the user asks for another rate
MIN_FPS, MAX_FPS = Fraction(1), Fraction(60)  # frames per second
UNIT_MS = 40  # live: a unit is one frame at FPS and its sound
SOUND_RATE = 48_000  # Hz; of the sound of live sessions
UNIT_SAMPLES = SOUND_RATE * UNIT_MS // 1000
MAX_DENOMINATOR = 1_000_000  # of a frame rate; video files keep no finer one
# Rates of which television keeps 1000 of 1001 frames, and how far a decimal that means one may be
# from it: 23.98 stands for 24000/1001.
NTSC_RATES = (12, 15, 24, 30, 48, 60)
NTSC_ROUNDING = Fraction(1, 200)
FEATURE_RATE = 50  # speech features per second, in Whisper as in the articulation network
FEATURE_STEP = SAMPLE_RATE // FEATURE_RATE  # 320 samples


def exact_rate(fps: Fraction | float) -> Fraction:
    """The frame rate that a number stands for: 29.97 is 30000/1001, 23.976 is 24000/1001.

    ValueError or OverflowError for NaN and infinity.
    """
    rate = Fraction(fps).limit_denominator(MAX_DENOMINATOR)
    for whole in NTSC_RATES:
        ntsc = Fraction(1000 * whole, 1001)
        if abs(rate - ntsc) < NTSC_ROUNDING:
            return ntsc
    return rate


def frame_count(samples: int, sample_rate: int, fps: Fraction = FPS) -> int:
    """Frames that `samples` samples of audio last: floor(samples / sample_rate * fps).

    Audio shorter than one frame still gives one frame, no audio gives none.
    """
    if samples <= 0:
        return 0
    return max(1, samples * fps.numerator // (sample_rate * fps.denominator))


def frame_start(index: int, fps: Fraction = FPS, sample_rate: int = SAMPLE_RATE) -> int:
    """First sample of frame `index`; frame `index` spans up to `frame_start(index + 1)`."""
    return index * sample_rate * fps.denominator // fps.numerator


def frame_ms(index: int, fps: Fraction = FPS) -> int:
    """The time of frame `index` in whole milliseconds from the start of the stream."""
    return index * 1000 * fps.denominator // fps.numerator
