"""Decides how many workers there should be, by the places that are taken.

Serve counts requests, of which a session that is spoken to has hardly any. Serve's controller gets
this module by value, so it imports nothing of ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

TAKEN, PLACES = "taken", "places"  # what each worker reports


def wanted_workers(
    taken: Mapping[str, float], places: Mapping[str, float], fill: float
) -> int | None:
    """The workers that hold what is taken and leave 1 - `fill` of their places free; None when
    nobody has reported.

    For example, 4 sessions on a worker of 4 places and with a fill of 0.75 want ceil(4 / 3) = 2.
    """
    known = [most for most in places.values() if most > 0]
    if not known:
        return None
    each = sum(known) / len(known)
    return max(1, math.ceil(sum(taken.values()) / (fill * each) - 1e-9))


class PlacesPolicy:
    """Serve's autoscaling policy; its limits and delays are applied by Serve."""

    def __init__(self, fill: float = 0.75) -> None:
        self._fill = fill

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """`context` is Serve's AutoscalingContext."""
        metrics = context.aggregated_metrics or {}
        wanted = wanted_workers(metrics.get(TAKEN, {}), metrics.get(PLACES, {}), self._fill)
        return context.target_num_replicas if wanted is None else wanted, {}
