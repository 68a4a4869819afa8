"""A bound of time fails a test only on a machine that one has to oneself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import timed
from tests.timed import TAKES, Take, judge, take_until


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def test_measuring_ends_with_the_first_take_that_passes() -> None:
    found: Iterator[int] = iter((1, 5, 9))
    assert [take.found for take in take_until(lambda: next(found), lambda one: one > 4)] == [1, 5]


def test_measuring_ends_after_the_last_take() -> None:
    assert len(take_until(lambda: 0, lambda _: False)) == TAKES


def test_what_others_took_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    stolen = iter((0.0, 1000.0))
    monkeypatch.setattr(timed, "stolen_s", lambda: next(stolen))
    (take,) = take_until(lambda: 0, lambda _: True)
    assert take.stolen > timed.STOLEN


def test_what_passes_is_not_judged_further() -> None:
    judge(True, [Take(0, 1.0)], "figures")


def test_a_missed_bound_fails_on_a_machine_of_ones_own() -> None:
    with pytest.raises(pytest.fail.Exception, match="missed in 2 takes: 7 fps"):
        judge(False, [Take(0, 0.0), Take(0, 0.01)], "7 fps")


@pytest.mark.parametrize("shared", ["host", "runner"])
def test_a_missed_bound_says_nothing_on_a_shared_machine(
    shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shared == "runner":
        monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.skip.Exception, match="7 fps"):
        judge(False, [Take(0, 0.5 if shared == "host" else 0.0)], "7 fps")
