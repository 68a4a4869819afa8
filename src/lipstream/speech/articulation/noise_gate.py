"""A voice activity gate: a causal noise floor, and an opening that eases the mouth shut.

Two measures must agree on a pause: the loudness, near the noise floor for 120 ms, and the network's
presence of speech. Either alone suffices when it is very sure: the loudness after half a second,
the network at once. So quiet speech in noise passes, a noise that starts abruptly is not taken for
speech until the floor has risen, and hum moves nothing.

Example, in steps of 20 ms, with the floor at -60 dB. Speech at -30 dB, presence 0.9: the opening is
0.5, 1, 1, ... The sentence ends, -60 dB: with presence 0.3 it stays 1 for five steps, then falls
0.75, 0.5, 0.25, 0 (shut after 180 ms); with presence 0.1 it falls at once; with presence 0.9 it
stays open for 24 steps and falls then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_MARGIN = 6.0  # dB above the floor that count as sound
_FALL = 0.3  # share of the way down to a quieter step: the floor of a pause is found in 100 ms
_RISE = 0.04  # dB per step, 2 dB per second: no sentence lifts the floor by the margin
_PAUSE = 6  # steps near the floor that make a pause: 120 ms
_LONG_PAUSE = 25  # steps near the floor that do as well against the network: 500 ms
_DOUBT = 0.5  # presence of speech below which the network agrees to a pause
_CERTAIN = 0.15  # presence of speech below which it needs no agreement
_SHUT = 0.25  # of the way per step: shut within 80 ms
_OPEN = 0.5  # of the way per step: open within 40 ms, while the look-ahead still hides it


@dataclass(slots=True)
class NoiseFloor:
    """The loudness of the background, in dB."""

    level: float | None = None  # None until the first step

    def step(self, loudness: float) -> bool:
        """Take one step; True when it stands out of the floor."""
        if self.level is None:
            self.level = loudness
        elif loudness < self.level:
            self.level += (loudness - self.level) * _FALL
        else:
            self.level = min(self.level + _RISE, loudness)
        return loudness > self.level + _MARGIN


@dataclass(slots=True)
class NoiseGate:
    """The share of its opening that the mouth of one stream may take, step by step."""

    floor: NoiseFloor = field(default_factory=NoiseFloor)
    quiet: int = 0  # steps in a row near the floor
    disputed: int = 0  # of these, steps in a row with presence of speech
    opening: float = 0.0  # 0 shut .. 1 free; a stream begins shut

    def step(self, loudness: float, presence: float) -> float:
        """Take the loudness of a step (dB) and the network's output for it; return 0..1.

        The output is older than the loudness by the network's look-ahead, so the gate knows of a
        pause, and of its end, before the mouth gets there.
        """
        self.quiet = 0 if self.floor.step(loudness) else self.quiet + 1
        self.disputed = self.disputed + 1 if self.quiet and presence >= _DOUBT else 0
        paused = self.quiet >= _PAUSE and presence < _DOUBT
        if paused or self.disputed >= _LONG_PAUSE or presence < _CERTAIN:
            self.opening = max(self.opening - _SHUT, 0.0)
        else:
            self.opening = min(self.opening + _OPEN, 1.0)
        return self.opening
