"""What a conversation must have come to."""

from __future__ import annotations

from collections.abc import Sequence

from tests.integrations.livekit.conversation import Said
from tests.integrations.livekit.room import Heard, Seen
from tests.integrations.livekit.speech import Stretch, stretches

UNIT_S, PACKET_S = 0.04, 0.02
PREFETCH_S = 0.1  # aiortc holds four packets of a track back; one more is on its way
MIN_FPS = 23.0  # of 25: a busy machine leaves some out
CLEARED_S = 0.15  # from an interrupt to the agent's knowing how much was played
SILENT_S = 0.2  # from an interrupt to silence in the room


def judge(said: Sequence[Said], heard: Sequence[Heard]) -> dict[str, int]:
    """Assert what is promised of each utterance; the figures that came of all, in milliseconds."""
    sounds = iter(stretches(heard))
    figures: dict[str, list[float]] = {name: [] for name in ("off", "cleared", "silent", "early")}
    for number, one in enumerate(said):
        assert len(one.finished) == 1 and len(one.started) <= 1, (number, one)
        position, cut = one.positions[0], one.interrupted is not None
        assert len(one.started) == (position > 0 or not cut), (number, one)
        if cut:
            assert one.interrupted is not None
            figures["cleared"].append(one.finished[0] - one.interrupted)
        if position == 0:
            continue
        sound = next(sounds)
        _judge_sound(number, one, sound)
        figures["off"].append(abs(position - (sound.seconds if cut else one.seconds)))
        if one.interrupted is None:  # else it is told at once, with what is still in the source
            figures["early"].append(max(0.0, sound.end - PREFETCH_S - one.finished[0]))
        else:
            figures["silent"].append(max(0.0, sound.end - PREFETCH_S - one.interrupted))
    assert next(sounds, None) is None, "sound of nobody, or with a hole"
    most = {name: round(1000 * max(values, default=0.0)) for name, values in figures.items()}
    assert most["cleared"] <= 1000 * CLEARED_S and most["silent"] <= 1000 * SILENT_S, most
    assert most["early"] <= 1000 * UNIT_S, most
    return most


def frame_rate(seen: Sequence[Seen]) -> float:
    """Pictures that came for each second of their own time."""
    return (len(seen) - 1) / (seen[-1].rtp_s - seen[0].rtp_s)


def _judge_sound(number: int, one: Said, sound: Stretch) -> None:
    """All of it was heard, in one piece, and the end was told when it was over."""
    position = one.positions[0]
    whole = position if one.interrupted is not None else one.seconds
    assert abs(sound.seconds - position) <= UNIT_S + PACKET_S, (number, one, sound)
    assert abs(position - whole) <= UNIT_S, (number, one)
