"""Judging what was timed: only a machine that one has to oneself can fail a bound.

A take that misses its bounds is repeated. When the last one misses them too, the test fails, unless
the machine gave part of its time to others meanwhile, or is a shared runner (`CI` is set): then the
test is skipped and says what it measured.
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

TAKES = 3
STOLEN = 0.02  # of all cores' time: from here on a machine is not one's own


@dataclass(frozen=True, slots=True)
class Take(Generic[T]):
    """One measurement."""

    found: T
    stolen: float  # share of all cores' time that other guests of the host took meanwhile


def take_until(measure: Callable[[], T], passed: Callable[[T], bool]) -> list[Take[T]]:
    """Measure until it passes, at most `TAKES` times. The last take is the one to judge."""
    takes: list[Take[T]] = []
    while not takes or (len(takes) < TAKES and not passed(takes[-1].found)):
        stolen, began = stolen_s(), time.perf_counter()
        found = measure()
        share = (stolen_s() - stolen) / ((time.perf_counter() - began) * usable_cores())
        takes.append(Take(found, share))
    return takes


def judge(passed: bool, takes: list[Take[T]], figures: object) -> None:
    """Fail unless `passed`, with the `figures`; skip where the machine may be what failed."""
    if passed:
        return
    stolen = max(take.stolen for take in takes)
    if "CI" in os.environ:
        pytest.skip(f"a shared runner missed a bound of time: {figures}")
    if stolen >= STOLEN:
        pytest.skip(f"others took {stolen:.0%} of this machine meanwhile: {figures}")
    pytest.fail(f"missed in {len(takes)} takes: {figures}")
