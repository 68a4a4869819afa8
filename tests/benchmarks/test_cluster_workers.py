"""The delay that one unit of a hundred exceeds, from what workers count."""

from __future__ import annotations

from math import inf

import pytest

from benchmarks.cluster.workers import percentile

pytestmark = pytest.mark.benchmarks


def test_the_smallest_bound_that_holds_the_share() -> None:
    cumulated = {1.0: 900, 2.0: 990, 4.0: 999, inf: 1000}
    assert percentile(cumulated, 0.5) == 1
    assert percentile(cumulated, 0.99) == 2
    assert percentile(cumulated, 0.995) == 4
    assert percentile(cumulated, 1) == inf


def test_no_unit_has_no_delay() -> None:
    assert percentile({}, 0.99) == 0
