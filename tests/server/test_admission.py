"""How many fit is arithmetic; when it was wrong, late frames tell."""

from __future__ import annotations

import asyncio
import time

import pytest

from lipstream.server.admission import Capacity, Cost, LoopLag, Overload

QUICK = Cost(drawing=4.0, encoding=2.0, sending=1.0)


def measured(cost: Cost, *, cores: int, parallelism: int = 1) -> Capacity:
    """The capacity of a machine whose only avatar costs `cost`."""
    capacity = Capacity(None, cores, parallelism)
    capacity.learn("face", cost)
    return capacity


@pytest.mark.parametrize(
    ("cost", "cores", "parallelism", "sessions"),
    [
        (QUICK, 2, 2, 8),  # all cores: 0.175 of a core each, of 1.5
        (Cost(4.0, 2.0, 2.8), 2, 2, 6),  # a slow loop takes from them, too
        (QUICK, 8, 1, 8),  # one thread that draws: 0.1 each, of 0.85
        (QUICK, 8, 8, 34),  # the event loop: 0.025 each, of 0.85
        (QUICK, 64, 64, 34),  # which more cores do not help
        (Cost(1.5, 0.5, 0.5), 64, 1, 22),  # a GPU that draws 667 frames a second
        (Cost(0.1, 0.5, 0.5), 64, 1, 68),  # a faster one
        (Cost(0.1, 0.1, 0.5), 128, 64, 68),  # the loop again
        (Cost(0.1, 0.1, 0.05), 128, 64, 680),  # and no constant beyond it
        (Cost(20.0, 5.0, 1.0), 8, 1, 1),
        (Cost(400.0, 5.0, 1.0), 8, 1, 1),  # the first one is always let in
    ],
)
def test_whatever_is_full_first_sets_the_limit(
    cost: Cost, cores: int, parallelism: int, sessions: int
) -> None:
    capacity = measured(cost, cores=cores, parallelism=parallelism)
    assert capacity.sessions == sessions
    assert capacity.admits([cost] * (sessions - 1), cost)
    assert not capacity.admits([cost] * sessions, cost)


def test_what_is_recorded_and_pushed_besides_leaves_less_room() -> None:
    both = QUICK.with_outputs(recorded=True, pushed=True)
    assert (both.drawing, both.sending) == (4.0, 2.0) and both.encoding > 3 * QUICK.encoding
    recording = Capacity(None, 2, 2, recorded=True)
    recording.learn("face", QUICK)
    assert recording.sessions < measured(QUICK, cores=2, parallelism=2).sessions


def test_a_loop_that_lags_admits_fewer_and_a_calm_one_more_again() -> None:
    capacity = measured(QUICK, cores=64, parallelism=64)
    seen = []
    for lags in ([1.0] * 200, [20.0] * 300, [1.0] * 300):
        for lag in lags:
            capacity.lag.observe(lag)
        seen.append(capacity.sessions)
    assert seen == [34, 8, 34]


def test_a_single_stall_is_forgiven() -> None:
    capacity = measured(QUICK, cores=64, parallelism=64)
    capacity.lag.observe(3_000.0)
    assert capacity.sessions == 34


def test_the_lag_of_a_loop_is_seen_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.server.admission.LAG_EVERY_S", 0.001)
    lag = LoopLag()

    async def block() -> None:
        watch = asyncio.create_task(lag.watch())
        for _ in range(100):
            time.sleep(0.012)  # noqa: ASYNC251 (the fault that is injected)
            await asyncio.sleep(0)
        watch.cancel()

    asyncio.run(block())
    assert lag.factor > 1


def test_overload_keeps_nobody_from_an_empty_server() -> None:
    capacity = measured(QUICK, cores=2)
    capacity.overload.raised = True
    assert not capacity.admits([QUICK], QUICK)
    assert capacity.admits([], QUICK)


def test_overload_keeps_nobody_from_changing_to_what_costs_no_more() -> None:
    capacity = Capacity(cores=8)
    capacity.overload.raised = True
    assert capacity.admits([QUICK], QUICK, QUICK)
    dearer = Cost(2 * QUICK.drawing, 2 * QUICK.encoding, 2 * QUICK.sending)
    assert not capacity.admits([QUICK], dearer, QUICK)


def test_a_cap_only_lowers_it() -> None:
    for cap, sessions in ((3, 3), (100, 8)):
        capacity = Capacity(cap, 2, 2)
        capacity.learn("face", QUICK)
        assert capacity.sessions == sessions
        assert not capacity.admits([QUICK] * sessions, QUICK)


def test_the_dearest_avatar_stands_for_all_until_it_is_deleted() -> None:
    capacity = Capacity(None, 2, 2)
    assert capacity.sessions == 1  # nothing is known yet
    for name, cost in (("a", Cost(1.0, 1.0, 1.0)), ("b", Cost(40.0, 1.0, 1.0)), ("c", QUICK)):
        capacity.learn(name, cost)
    assert capacity.sessions == 1
    assert capacity.admits([QUICK] * 3, QUICK)  # but each counts as what it is
    capacity.forget("b")
    assert capacity.sessions == 8
    capacity.learn("c", Cost(1.0, 1.0, 1.0))  # measured again
    assert capacity.sessions == 20


def test_of_two_measurements_the_lower_counts() -> None:
    assert Cost(4.0, 2.0, 1.0).cheapest(Cost(3.0, 5.0, 0.5)) == Cost(3.0, 2.0, 0.5)


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


def test_as_many_are_free_as_are_admitted() -> None:
    dear, cheap = Cost(20.0, 5.0, 1.0), QUICK
    capacity = measured(dear, cores=16, parallelism=16)
    capacity.learn("other", cheap)
    present = [cheap] * 5
    free = capacity.free(present)
    assert 0 < free < capacity.sessions
    for _ in range(free):
        assert capacity.admits(present, dear)
        present.append(dear)
    assert capacity.free(present) == 0
    assert not capacity.admits(present, dear)


def test_no_more_are_free_than_the_cap_leaves() -> None:
    capacity = Capacity(3, 64, 64)
    assert capacity.free([]) == 1  # before any is measured
    capacity.learn("face", QUICK)
    assert [capacity.free([QUICK] * n) for n in range(5)] == [3, 2, 1, 0, 0]
    capacity.overload.raised = True
    assert capacity.free([QUICK]) == 0
