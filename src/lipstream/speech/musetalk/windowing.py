"""The speech features that a frame of MuseTalk takes: ten steps of 20 ms around it.

The network was trained on windows of five frames at 25 fps; here the same window lies around the
frame at any rate, in exact integers.

    25 fps, frame i: begins with step 2i          -> steps 2i - 4 to 2i + 5
    30 fps, frame 7: begins in step 7 * 50 // 30 = 11 -> steps 7 to 16
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipstream.media.image import Floats
from lipstream.timeline import FEATURE_RATE

# Of a frame's first step: the window is [first - before, first + after).
STEPS_BEFORE, STEPS_AFTER = 4, 6


def first_step(frame: int, fps: Fraction) -> int:
    """The feature step in which `frame` begins."""
    return frame * FEATURE_RATE * fps.denominator // fps.numerator


def needed_steps(frames: range, fps: Fraction) -> range:
    """All steps that `frames` take, some perhaps before the stream or after it."""
    first, last = first_step(frames.start, fps), first_step(frames.stop - 1, fps)
    return range(first - STEPS_BEFORE, last + STEPS_AFTER)


def window_steps(
    frames: range, fps: Fraction, before: int = STEPS_BEFORE, after: int = STEPS_AFTER
) -> NDArray[np.int64]:
    """The steps that each of `frames` takes: (len(frames), before + after)."""
    firsts = np.array([first_step(frame, fps) for frame in frames], np.int64)
    return firsts[:, None] + np.arange(-before, after)


def windows(features: Floats, start: int, frames: range, fps: Fraction) -> Floats:
    """The tokens of `frames`: (len(frames), 10 * layers, width), over time, then over layers.

    `features` (steps, layers, width) begin with step `start` of the stream.
    """
    return tokens(features, window_steps(frames, fps) - start)


def tokens(features: Floats, chosen: NDArray[np.int64]) -> Floats:
    """(steps, layers, width) read at (frames, window) steps, zero vectors where there are none."""
    steps, layers, width = features.shape
    frames, window = chosen.shape
    result = np.zeros((frames, window, layers, width), np.float32)
    valid = (chosen >= 0) & (chosen < steps)
    result[valid] = features[chosen[valid]]
    return result.reshape(frames, window * layers, width)
