"""Work for several sessions in one call, such that an error fails only the one that made it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def each(
    items: Sequence[_Item], work: Callable[[Sequence[_Item]], Sequence[_Result]]
) -> list[_Result | Exception]:
    """The results of one call for all items or, when that raises, of a call for each.

    An item whose own call raises has its exception for a result.
    """
    try:
        results = work(items)
        if len(results) != len(items):
            raise RuntimeError(f"a backend gave {len(results)} results for {len(items)} requests.")
        return list(results)
    except Exception as error:  # whatever a backend raises is given to the sessions concerned
        if len(items) == 1:
            return [error]
    return [result for item in items for result in each([item], work)]
