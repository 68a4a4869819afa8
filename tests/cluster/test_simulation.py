"""The placement in a cluster in virtual time, with loads as old as a front's really are."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.cluster.simulation import Scenario, Simulation

BUSY = Scenario(workers=40, sessions=1500, fronts=3, load=0.96, stay_s=120.0)


def test_hardly_anybody_is_refused_while_there_is_room() -> None:
    outcome = Simulation(BUSY).run()
    assert outcome.asked == 1500 and outcome.mean_used > 0.8
    assert outcome.wrongly_refused < 0.001
    assert outcome.imbalance < 0.1
    assert outcome.tries < 1.2


def test_a_run_can_be_repeated() -> None:
    small = replace(BUSY, sessions=200)
    assert Simulation(small).run() == Simulation(small).run()


def test_sessions_of_workers_that_died_are_open_again_in_seconds() -> None:
    outcome = Simulation(replace(BUSY, load=0.6, dead_share=0.1)).run()
    assert outcome.lost > 5 and outcome.refused_while_free == 0
    assert 0 < outcome.recovered_s < 6  # clients come again within 5 s


def test_who_finds_no_room_is_refused() -> None:
    outcome = Simulation(replace(BUSY, load=1.5, workers=8, sessions=400)).run()
    assert outcome.refused > 40 and outcome.mean_used > 0.9
