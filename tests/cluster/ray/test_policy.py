from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.cluster.ray.policy import PLACES, TAKEN, PlacesPolicy, wanted_workers


@pytest.mark.parametrize(
    ("taken", "places", "wanted"),
    [
        ([0], [4], 1),
        ([3], [4], 1),  # three quarters are not yet too many
        ([4], [4], 2),
        ([4, 2], [4, 4], 2),
        ([4, 3], [4, 4], 3),
        ([1, 1], [4, 4], 1),
        ([4, 0], [4, 0], 2),  # one has no worker at the moment
        ([12] * 10, [12] * 10, 14),
    ],
)
def test_a_quarter_of_all_places_is_kept_free(
    taken: list[int], places: list[int], wanted: int
) -> None:
    assert wanted_workers(by_id(taken), by_id(places), 0.75) == wanted


def test_nothing_is_changed_before_anybody_reported() -> None:
    assert wanted_workers({}, {}, 0.75) is None
    assert wanted_workers({"a": 0}, {"a": 0}, 0.75) is None
    context = SimpleNamespace(aggregated_metrics={}, target_num_replicas=3)
    assert PlacesPolicy()(context) == (3, {})


def test_the_policy_reads_what_workers_report() -> None:
    metrics = {TAKEN: {"a": 4.0, "b": 4.0}, PLACES: {"a": 4.0, "b": 4.0}}
    context = SimpleNamespace(aggregated_metrics=metrics, target_num_replicas=2)
    assert PlacesPolicy(fill=0.75)(context) == (3, {})
    assert PlacesPolicy(fill=1.0)(context) == (2, {})


@given(
    loads=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=50),
    fill=st.floats(0.1, 1.0),
)
def test_what_is_taken_fits_and_nothing_is_superfluous(
    loads: list[tuple[int, int]], fill: float
) -> None:
    taken, places = ([load[n] for load in loads] for n in (0, 1))
    wanted = wanted_workers(by_id(taken), by_id(places), fill)
    assert wanted is not None
    each = fill * sum(places) / len(places)
    assert wanted * each >= sum(taken) - 1e-6
    assert wanted == 1 or (wanted - 1) * each < sum(taken)


def by_id(values: list[int]) -> dict[str, float]:
    return {str(number): float(value) for number, value in enumerate(values)}
