"""Whether anybody speaks: a noise floor that needs no future, and a gate that eases the mouth shut.

Two witnesses must agree that a pause is a pause: the loudness, which has been near the noise floor
for 120 ms, and the network, which hears no speech. Either alone suffices when it is very sure: the
loudness after half a second, the network at once. So quiet speech in noise is not eaten, a noise
that starts abruptly is not taken for speech until the floor has risen, and hum moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_MARGIN = 6.0  # dB above the floor that count as sound
_FALL = 0.3  # share of the way down to a quieter step: the floor of a pause is found in 100 ms
_RISE = 0.04  # dB per step, 2 dB per second: no sentence lifts the floor by the margin
_PAUSE = 6  # steps near the floor that make a pause: 120 ms
_LONG_PAUSE = 25  # steps near the floor, against the network's word, that do as well: 500 ms
_DOUBT = 0.5  # presence of speech below which the network agrees to a pause
_CERTAIN = 0.15  # presence of speech below which it needs no second witness
_SHUT = 0.25  # of the way per step: shut within 80 ms
_OPEN = 0.5  # of the way per step: open within 40 ms, while the look-ahead still hides it


@dataclass(slots=True)
class NoiseFloor:
    """The loudness of what is there when nobody speaks, in dB."""

    level: float | None = None  # None until the first step

    def step(self, loudness: float) -> bool:
        """Hear one step; True when it stands out of the floor."""
        if self.level is None:
            self.level = loudness
        elif loudness < self.level:
            self.level += (loudness - self.level) * _FALL
        else:
            self.level = min(self.level + _RISE, loudness)
        return loudness > self.level + _MARGIN


@dataclass(slots=True)
class NoiseGate:
    """How far the mouth of one stream may open, step by step."""

    floor: NoiseFloor = field(default_factory=NoiseFloor)
    quiet: int = 0  # steps in a row near the floor
    disputed: int = 0  # of these, steps in a row of which the network says that somebody speaks
    opening: float = 0.0  # 0 shut .. 1 free; a stream begins shut

    def step(self, loudness: float, presence: float) -> float:
        """Take the loudness just heard (dB) and the network's present answer; return 0..1.

        The answer is older than the loudness by the network's look-ahead, so the gate knows of a
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
