"""Bounds of time in tests: only a machine without other guests can fail one.

A measurement that misses its bounds is repeated. When the last one misses them too, the test fails,
unless the host gave time to other guests meanwhile, or is a shared runner (`CI` is set): then the
test is skipped with its figures.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import pytest

from benchmarks.machine import stolen_s, usable_cores

T = TypeVar("T")

MAX_MEASUREMENTS = 3
MAX_STOLEN = 0.02  # of all cores' time; from here on the machine is shared


@dataclass(frozen=True, slots=True)
class Measurement(Generic[T]):
    """One measured value and the state of the machine meanwhile."""

    value: T
    stolen: float  # share of all cores' time that other guests of the host took meanwhile


def measure_until(measure: Callable[[], T], passed: Callable[[T], bool]) -> list[Measurement[T]]:
    """Measure until it passes, at most `MAX_MEASUREMENTS` times. The last one is to be judged."""
    done: list[Measurement[T]] = []
    while not done or (len(done) < MAX_MEASUREMENTS and not passed(done[-1].value)):
        stolen, began = stolen_s(), time.perf_counter()
        value = measure()
        share = (stolen_s() - stolen) / ((time.perf_counter() - began) * usable_cores())
        done.append(Measurement(value, share))
    return done


def judge(passed: bool, measurements: list[Measurement[T]], figures: object) -> None:
    """Fail with the `figures` unless `passed`; skip where the machine may be the cause."""
    if passed:
        return
    stolen = max(measurement.stolen for measurement in measurements)
    if "CI" in os.environ:
        pytest.skip(f"a shared runner missed a bound of time: {figures}")
    if stolen >= MAX_STOLEN:
        pytest.skip(f"other guests took {stolen:.0%} of this machine meanwhile: {figures}")
    pytest.fail(f"missed in {len(measurements)} measurements: {figures}")
