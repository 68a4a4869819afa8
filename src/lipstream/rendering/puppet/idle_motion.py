"""Idle motion: blinks and sway as pure functions of the time.

Nothing here has state, so any frame can be rendered alone, in any order, by any worker, and idle
motion runs on through speech without a jump.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np

from lipstream.config import MotionConfig
from lipstream.media.image import Floats
from lipstream.timeline import frame_ms

# One blink: lid position (0 open, 1 closed) every 40 ms from its start.
BLINK_CURVE = (0.5, 1.0, 1.0, 0.6, 0.25)
BLINK_STEP_MS = 40
MIN_BLINK_FPS = 10  # frames per second; at fewer, lids would hang half shut
BLINK_SLOT_MS = 3600  # one blink in every slot,
BLINK_SPREAD_MS = 1600  # at a moment drawn from its first part: 2.0 to 5.2 s apart

# Sway: standard deviations; right and down and nose in mouth widths, roll in radians.
SWAY = (0.012, 0.010, math.radians(0.30), 0.016, 0.013)
SWAY_PERIODS_S = (
    (11.3, 5.9, 3.1),
    (9.7, 4.7, 2.9),
    (13.1, 6.7, 3.7),
    (8.9, 4.3, 2.7),
    (10.1, 5.3, 3.3),
)
CALM_SHARE, CALM_SLOWNESS = 0.5, 1.6  # of the sway's way and of its periods, when it is calm
SWAY_SHARES = (0.75, 0.55, 0.36)  # amplitudes of the three sines; their squares sum to 1


def lid_position(index: int, fps: Fraction, config: MotionConfig) -> float:
    """The closure of the eyelids at frame `index`, 0 to 1: one of `BLINK_CURVE` or 0."""
    if not config.blink or fps < MIN_BLINK_FPS:
        return 0.0
    now = frame_ms(index, fps)
    slot = now // BLINK_SLOT_MS
    start = slot * BLINK_SLOT_MS + 400 + _draw(config.seed, slot) % BLINK_SPREAD_MS
    # Blinks begin on a frame, so that every one of them closes fully at 25 fps.
    start_index = -(-start * fps.numerator // (1000 * fps.denominator))
    step = (now - frame_ms(start_index, fps)) // BLINK_STEP_MS
    return BLINK_CURVE[step] if 0 <= step < len(BLINK_CURVE) else 0.0


def sway(index: int, fps: Fraction, config: MotionConfig, mouth_width: float) -> Floats:
    """The head's motion at frame `index` in the units of `HeadGeometry.fields`: (5,) float32."""
    if not config.sway or config.level == "still":
        return np.zeros(len(SWAY), np.float32)
    calm = config.level == "calm"
    share, slowness = (CALM_SHARE, CALM_SLOWNESS) if calm else (1.0, 1.0)
    seconds = index * fps.denominator / fps.numerator / slowness
    motion = []
    for channel, waves in enumerate(_waves(config.seed)):
        value = 0.0
        for period, amplitude, phase in waves:
            value += amplitude * math.sin(2 * math.pi * (seconds / period + phase))
        unit = 1.0 if channel == 2 else mouth_width
        motion.append(math.sqrt(2) * share * SWAY[channel] * unit * value)
    return np.array(motion, np.float32)


@lru_cache(maxsize=64)
def _waves(seed: int) -> tuple[tuple[tuple[float, float, float], ...], ...]:
    """(period in seconds, share, phase in turns) of the sines of every channel of the sway."""
    return tuple(
        tuple(
            (period, share, _draw(seed, 1000 + 10 * channel + wave) / 2**64)
            for wave, (period, share) in enumerate(zip(periods, SWAY_SHARES, strict=True))
        )
        for channel, periods in enumerate(SWAY_PERIODS_S)
    )


def _draw(seed: int, key: int) -> int:
    """A 64-bit number that looks random but depends only on its arguments (splitmix64)."""
    mask = 2**64 - 1
    z = (seed * 0x9E3779B97F4A7C15 + key * 0xD1B54A32D192ED03 + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)
