"""The correlation that a mouth and a sound reach which have nothing to do with each other.

Curves that change slowly are alike by chance more often than curves that change fast, short ones
more often than long ones, and the best of many offsets more often than one. All three are known in
advance from the curves themselves, so no limit has to be tuned on recordings of people:

* The variance of the correlation of two unrelated curves is the sum of the products of their
  autocorrelations over the number of frames (Bartlett 1946).
* The correlation as a function of the offset is then a normal process with this variance; that it
  crosses a level somewhere in a span of offsets is as probable as it begins above it, plus the
  number of upward crossings expected (Rice 1944), which grows with how fast the process wobbles.

Example: 10 s of a mouth at 25 fps have a spread of about 0.10, and at the best of offsets from -400
to 400 ms one of a hundred unrelated mouths reaches 0.34.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lipstream.score.curves import Curve

MAX_SPREADS = 40.0  # at which every probability is 0 in double precision
FLAT = 1e-9  # a curve that moves less moves by errors of rounding


@dataclass(frozen=True, slots=True)
class Chance:
    """The correlations of unrelated curves with the same rhythms as two given ones."""

    spread: float  # their standard deviation at one offset; 0 where either curve is flat
    wobble: float  # radians a second: root mean square of their rate of change over the spread
    span: float  # seconds from the least to the greatest offset that is tried

    @staticmethod
    def of(one: Curve, other: Curve, fps: float, span: float) -> Chance:
        """Measure two curves of the same n frames, of which `fps` make a second."""
        if min(np.ptp(one), np.ptp(other)) < FLAT:
            return Chance(0.0, 0.0, span)
        a, b = _autocorrelation(one), _autocorrelation(other)
        variance = float(a @ b) / len(one)
        next_frame = float(a[:-1] @ b[1:]) / len(one)
        wobble = fps * math.sqrt(max(2 * (1 - next_frame / variance), 0.0))
        return Chance(math.sqrt(variance), wobble, span)

    def probability(self, correlation: float) -> float:
        """The probability that unrelated curves reach `correlation` at any offset of the span."""
        if self.spread == 0:
            return 1.0
        return self._above(correlation / self.spread)

    def correlation(self, probability: float) -> float:
        """The correlation that unrelated curves reach with `probability`, 1 at most."""
        low, high = 0.0, MAX_SPREADS
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self._above(middle) > probability else (low, middle)
        return min(high * self.spread, 1.0) if self.spread else 1.0

    def _above(self, spreads: float) -> float:
        """The probability of so many spreads anywhere in the span."""
        begins = math.erfc(spreads / math.sqrt(2)) / 2
        crossings = self.span * self.wobble / (2 * math.pi) * math.exp(-(spreads**2) / 2)
        return min(begins + crossings, 1.0)


def _autocorrelation(curve: Curve) -> Curve:
    """(2n - 1,) from the most negative lag to the greatest; 1 in the middle, tapering to 0."""
    power = np.abs(np.fft.rfft(curve - curve.mean(), 2 * len(curve))) ** 2
    half = np.fft.irfft(power)[: len(curve)]
    return np.asarray(np.concatenate([half[:0:-1], half]) / half[0])
