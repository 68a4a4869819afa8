"""Sessions go where there is most room, and what was placed counts before anybody tells so."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.cluster.placement import MAX_FULL_TRIED, MAX_TRIED, Placement, WorkerLoad


def load(free: int, most: int = 4, *, draining: bool = False) -> WorkerLoad:
    return WorkerLoad(most - free, most, free, draining=draining)


def place(placement: Placement) -> str:
    worker = placement.order()[0]
    placement.begin(worker)
    placement.end(worker, opened=True)
    return worker


def test_the_largest_free_share_comes_first() -> None:
    placement = Placement(0)
    placement.observe("small", load(1, 2))
    placement.observe("large", load(9, 12))
    placement.observe("busy", load(1, 12))
    assert placement.order() == ["large", "small", "busy"]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_no_room_is_refused_and_none_is_placed_twice(frees: list[int]) -> None:
    """Between two looks, too: as many sessions as are free are placed, each where one is free."""
    placement = Placement(0)
    for number, free in enumerate(frees):
        placement.observe(str(number), load(free, 6))
    counts = Counter(place(placement) for _ in range(sum(frees)))
    assert [counts[str(number)] for number in range(len(frees))] == frees


def test_a_load_knows_of_the_sessions_before_it_was_asked_for() -> None:
    placement = Placement(0)
    placement.observe("a", load(4))
    place(placement)
    mark = placement.mark("a")
    place(placement)  # on the way, as the load was asked for
    placement.observe("a", load(3), mark)
    placement.observe("b", load(2))
    assert [place(placement) for _ in range(4)].count("a") == 2


def test_a_refusal_holds_until_the_next_look() -> None:
    placement = Placement(0)
    placement.observe("a", load(3))
    placement.observe("b", load(1))
    placement.begin("a")
    placement.end("a", full=True)
    assert placement.order() == ["b", "a"]
    placement.observe("a", load(3))
    assert placement.order() == ["a", "b"]


def test_those_that_drain_get_nothing_and_few_full_ones_are_asked() -> None:
    placement = Placement(0)
    for number in range(20):
        placement.observe(f"full{number}", load(0))
        placement.observe(f"draining{number}", load(4, draining=True))
    assert len(placement.order()) == MAX_FULL_TRIED
    assert not any(worker.startswith("draining") for worker in placement.order())
    for number in range(20):
        placement.observe(f"free{number}", load(1))
    assert len(placement.order()) == MAX_TRIED
    assert all(worker.startswith("free") for worker in placement.order())


def test_equals_are_taken_in_turns() -> None:
    placement = Placement(1)
    for worker in "abcd":
        placement.observe(worker, load(50, 50))
    counts = Counter(place(placement) for _ in range(100))
    assert set(counts.values()) == {25}


@pytest.mark.parametrize("answer", [{}, {"sessions": "1"}, {"sessions": True}])
def test_an_answer_that_is_no_load_is_refused(answer: dict[str, object]) -> None:
    whole = {"sessions": 0, "sessions_max": 4, "free": 4, "speaking": 0}
    whole |= {"draining": False, "overloaded": False, "late_share": 0}
    assert WorkerLoad.parse(whole).free == 4
    with pytest.raises(ValueError, match="sessions"):
        WorkerLoad.parse({**whole, **answer} if answer else {})
