"""A bound of time fails a test only on a machine without other guests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import timed
from tests.timed import MAX_MEASUREMENTS, Measurement, judge, measure_until


@pytest.fixture(autouse=True)
def unshared_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def test_measuring_ends_with_the_first_measurement_that_passes() -> None:
    found: Iterator[int] = iter((1, 5, 9))
    assert [one.value for one in measure_until(lambda: next(found), lambda value: value > 4)] == [
        1,
        5,
    ]


def test_measuring_ends_after_the_last_measurement() -> None:
    assert len(measure_until(lambda: 0, lambda _: False)) == MAX_MEASUREMENTS


def test_time_of_other_guests_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    stolen = iter((0.0, 1000.0))
    monkeypatch.setattr(timed, "stolen_s", lambda: next(stolen))
    (measurement,) = measure_until(lambda: 0, lambda _: True)
    assert measurement.stolen > timed.MAX_STOLEN


def test_a_kept_bound_passes_on_any_machine() -> None:
    judge(True, [Measurement(0, 1.0)], "figures")


def test_a_missed_bound_fails_on_an_unshared_machine() -> None:
    with pytest.raises(pytest.fail.Exception, match="missed in 2 measurements: 7 fps"):
        judge(False, [Measurement(0, 0.0), Measurement(0, 0.01)], "7 fps")


@pytest.mark.parametrize("shared", ["host", "runner"])
def test_a_missed_bound_says_nothing_on_a_shared_machine(
    shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shared == "runner":
        monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.skip.Exception, match="7 fps"):
        judge(False, [Measurement(0, 0.5 if shared == "host" else 0.0)], "7 fps")
