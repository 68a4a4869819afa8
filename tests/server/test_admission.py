"""How many fit is arithmetic; when it was wrong, late frames tell."""

from __future__ import annotations

import pytest

from lipstream.server.admission import Capacity, Cost, Overload

QUICK = Cost(drawing=4.0, encoding=2.0)


@pytest.mark.parametrize(
    ("cost", "cores", "sessions"),
    [
        (QUICK, 2, 7),  # all cores: 0.22 of a core each, of 1.7
        (QUICK, 4, 8),  # the thread that draws: 0.1 each, of 0.85
        (Cost(1.0, 1.0), 64, 12),  # the event loop: 0.07 each, of 0.85
        (Cost(20.0, 5.0), 8, 1),
        (Cost(400.0, 5.0), 8, 1),  # the first one is always let in
    ],
)
def test_whatever_is_full_first_sets_the_limit(cost: Cost, cores: int, sessions: int) -> None:
    capacity = Capacity(cores=cores)
    capacity.learn(cost)
    assert capacity.sessions == sessions
    assert capacity.admits([cost] * (sessions - 1), cost)
    assert not capacity.admits([cost] * sessions, cost)


def test_frames_drawn_side_by_side_count_once_for_each_lane() -> None:
    capacity = Capacity(cores=64, parallelism=4)
    capacity.learn(Cost(10.0, 1.0))
    assert capacity.sessions == 12  # the event loop; one lane would draw for 3
    assert not Capacity(cores=64).admits([Cost(10.0, 1.0)] * 3, Cost(10.0, 1.0))


def test_overload_keeps_nobody_from_an_empty_server() -> None:
    capacity = Capacity(cores=2)
    capacity.learn(QUICK)
    capacity.overload.raised = True
    assert not capacity.admits([QUICK], QUICK)
    assert capacity.admits([], QUICK)


def test_a_cap_only_lowers_it() -> None:
    for cap, sessions in ((3, 3), (100, 7)):
        capacity = Capacity(cap, cores=2)
        capacity.learn(QUICK)
        assert capacity.sessions == sessions
        assert not capacity.admits([QUICK] * sessions, QUICK)


def test_the_dearest_avatar_stands_for_all() -> None:
    capacity = Capacity(cores=2)
    assert capacity.sessions == 1  # nothing is known yet
    for cost in (Cost(1.0, 1.0), Cost(20.0, 1.0), QUICK):
        capacity.learn(cost)
    assert capacity.sessions == 1
    assert capacity.admits([QUICK] * 3, QUICK)  # but each counts as what it is


def run(overload: Overload, shares: list[tuple[int, int]]) -> list[bool]:
    """For each (seconds, late per second): whether it is raised afterwards."""
    raised, now, units, late = [], 0, 0, 0
    for lasts, rate in shares:
        for _ in range(lasts):
            overload.observe(now, units, late)
            now, units, late = now + 1000, units + 25, late + rate
        overload.observe(now, units, late)
        raised.append(overload.raised)
    return raised


def test_late_frames_raise_it_and_calm_lowers_it() -> None:
    assert run(Overload(), [(10, 0), (10, 1), (5, 0), (15, 0)]) == [False, True, True, False]


def test_it_does_not_flap() -> None:
    """One per cent late, between the two marks: what is raised stays, what is not is not."""
    tenth = [(4, 0), (1, 1)]
    assert not any(run(Overload(), tenth * 6))
    assert run(Overload(), [(10, 2), *tenth * 6])[1:] == [True] * 12


def test_a_few_units_say_nothing() -> None:
    overload = Overload()
    overload.observe(0, 0, 0)
    overload.observe(6_000, 10, 10)
    assert not overload.raised
