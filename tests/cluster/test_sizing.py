"""How many workers a machine is given."""

from __future__ import annotations

import pytest

from lipstream.cluster.sizing import Shares, share_machine
from lipstream.errors import OptionError


@pytest.mark.parametrize(
    ("workers", "cores", "devices", "most", "expected"),
    [
        (None, 1, 0, None, Shares(1, 1)),
        (None, 4, 0, None, Shares(1, 4)),
        (None, 6, 0, None, Shares(2, 3)),
        (None, 64, 0, None, Shares(16, 4)),
        (None, 64, 8, None, Shares(8, 8, 8)),
        (None, 64, 0, 5, Shares(5, 12)),
        (3, 2, 0, None, Shares(3, 1)),
        (4, 16, 2, 8, Shares(4, 4, 2)),
    ],
)
def test_the_cores_and_devices_are_shared_out(
    workers: int | None, cores: int, devices: int, most: int | None, expected: Shares
) -> None:
    assert share_machine(workers, cores, devices, most) == expected


def test_devices_are_taken_by_turns_where_there_are_several() -> None:
    assert [Shares(4, 1, 2).device(place) for place in range(4)] == ["cuda:0", "cuda:1"] * 2
    assert Shares(4, 1, 1).device(0) is None and Shares(4, 1).device(0) is None


def test_each_worker_needs_a_session() -> None:
    with pytest.raises(OptionError, match="--max-sessions 2 is less than --workers 3; each worker"):
        share_machine(3, 8, 0, 2)
