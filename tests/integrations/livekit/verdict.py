"""What a conversation must have come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests import timed
from tests.integrations.livekit.conversation import Said
from tests.integrations.livekit.room import Measured
from tests.integrations.livekit.speech import Stretch, stretches

UNIT_S, PACKET_S = 0.04, 0.02
PREFETCH_S = 0.1  # aiortc holds four packets of a track back; one more is on its way
BOUNDS_MS = {  # of the worst utterance
    "off": 1000 * (UNIT_S + PACKET_S),  # told, from what was heard
    "early": 1000 * UNIT_S,  # told of its end, before that was heard
    "cleared": 150,  # from an interrupt to the agent's knowing how much was played
    "silent": 200,  # from an interrupt to silence in the room
    "holes": 0,  # in all sound; a count
}
MIN_FPS = 23.0  # of 25: a busy machine leaves some out


@dataclass(frozen=True, slots=True)
class Verdict:
    """The figures of a conversation: the worst of each kind in milliseconds, and pictures."""

    worst: dict[str, float]
    fps: float

    @property
    def passed(self) -> bool:
        within = all(value <= BOUNDS_MS[name] for name, value in self.worst.items())
        return within and self.fps >= MIN_FPS


def hold(converse: Callable[[], Verdict]) -> None:
    """Converse, and once more where a busy machine may have disturbed it; fail if it goes on."""
    done = timed.measure_until(converse, lambda verdict: verdict.passed)
    print(done[-1].value)
    timed.judge(done[-1].value.passed, done, [one.value for one in done])


def judge(said: Sequence[Said], came: Measured) -> Verdict:
    """Assert what no machine may disturb; the figures of the rest."""
    for number, one in enumerate(said):
        assert len(one.finished) == 1 and len(one.started) <= 1, (number, one)
        position, cut = one.positions[0], one.interrupted is not None
        assert len(one.started) == (position > 0 or not cut), (number, one)
        if not cut:
            assert abs(position - one.seconds) <= UNIT_S, (number, one)
    spoken = [one for one in said if one.positions[0] > 0]
    sounds = stretches(came.heard)
    worst = {name: 0.0 for name in BOUNDS_MS}
    worst["holes"] = abs(len(sounds) - len(spoken))
    for one in said:
        if one.interrupted is not None:
            _note(worst, "cleared", one.finished[0] - one.interrupted)
    if not worst["holes"]:
        for one, sound in zip(spoken, sounds, strict=True):
            _compare(worst, one, sound)
    seen = came.seen
    fps = (len(seen) - 1) / (seen[-1].rtp_s - seen[0].rtp_s)
    return Verdict(worst, round(fps, 2))


def _compare(worst: dict[str, float], one: Said, sound: Stretch) -> None:
    """What was told of an utterance, with its sound."""
    _note(worst, "off", abs(one.positions[0] - sound.seconds))
    heard = sound.end - PREFETCH_S
    if one.interrupted is None:
        _note(worst, "early", heard - one.finished[0])
    else:  # told at once, with what is still in the source
        _note(worst, "silent", heard - one.interrupted)


def _note(worst: dict[str, float], name: str, seconds: float) -> None:
    worst[name] = max(worst[name], round(1000 * seconds))
