"""Frames behind speech."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from pipecat_lipstream.held_frames import BEGINNING, END, HeldFrames


@dataclass
class Words:
    """As much of a frame as counts here."""

    text: str
    interruptible: bool = True


def held(*waiting: tuple[tuple[int, float], Words]) -> HeldFrames:
    frames = HeldFrames()
    for position, words in waiting:
        frames.hold(cast("Any", words), position)
    return frames


def texts(frames: HeldFrames, heard: tuple[int, float]) -> list[str]:
    return [cast("Any", frame).text for frame in frames.due(heard)]


def test_a_frame_comes_when_what_is_before_it_was_heard() -> None:
    frames = held(
        ((1, 400.0), Words("one")), ((1, END), Words("end")), ((2, 80.0), Words("second"))
    )
    assert texts(frames, BEGINNING) == []
    assert texts(frames, (1, 399)) == []
    assert texts(frames, (1, 400)) == ["one"]
    assert texts(frames, (2, 0)) == ["end"]  # the next has begun
    assert texts(frames, (2, END)) == ["second"] and len(frames) == 0


def test_what_was_not_heard_is_dropped_by_an_interruption() -> None:
    frames = held(((1, 400.0), Words("one")), ((1, END), Words("result", interruptible=False)))
    frames.interrupt()
    assert texts(frames, (1, END)) == ["result"]


def test_an_utterance_that_is_not_interrupted_keeps_its_frames() -> None:
    frames = held(((1, END), Words("one")), ((2, END), Words("two")), ((3, END), Words("three")))
    frames.interrupt(kept=[2])
    assert texts(frames, (3, END)) == ["two"]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 1000)), max_size=20),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1100)), max_size=20),
)
def test_the_order_never_changes_and_nothing_is_early(
    positions: list[tuple[int, int]], looks: list[tuple[int, int]]
) -> None:
    waiting = [(position, Words(str(index))) for index, position in enumerate(sorted(positions))]
    frames, given_out = held(*waiting), 0
    for heard in sorted(looks):
        for text in texts(frames, heard):
            assert int(text) == given_out and waiting[given_out][0] <= heard
            given_out += 1
    assert len(frames) == len(waiting) - given_out
