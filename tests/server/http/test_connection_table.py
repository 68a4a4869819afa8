"""A bounded table of connections: silent ones make room, those that are served never."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.server.http.connection_table import ConnectionTable, network_of


@dataclass(eq=False)
class Fake:
    """A connection that notes its end."""

    admitted: bool = False
    aborted: bool = False

    def abort(self) -> None:
        self.aborted = True


def test_the_oldest_silent_one_makes_room() -> None:
    table = ConnectionTable(2, 9)
    first, second, third = Fake(), Fake(), Fake()
    assert table.enter(first, "a") and table.enter(second, "a")
    table.touch(first)
    assert table.enter(third, "a")
    assert (first.aborted, second.aborted, third.aborted) == (False, True, False)
    assert len(table) == 2 and table.refused == 1


def test_one_that_is_served_never_makes_room() -> None:
    table = ConnectionTable(2, 2)
    served = Fake(admitted=True)
    assert table.enter(served, "a") and table.enter(Fake(admitted=True), "b")
    assert not table.enter(Fake(), "c")
    table.leave(served)
    table.leave(served)
    assert table.enter(Fake(), "c")


def test_the_crowd_of_one_network_makes_room_for_another() -> None:
    table = ConnectionTable(10, 10)
    early = Fake()
    assert table.enter(early, "b")
    crowd = [Fake() for _ in range(9)]
    assert all(table.enter(one, "a") for one in crowd)
    assert table.enter(Fake(), "c")
    assert not early.aborted and [one.aborted for one in crowd] == [True] + 8 * [False]


def test_a_network_has_a_limit_of_its_own_unless_many_share_it() -> None:
    table = ConnectionTable(10, 2)
    crowd = [Fake() for _ in range(5)]
    assert all(table.enter(one, "a") for one in crowd)
    assert sum(one.aborted for one in crowd) == 3
    proxied = [Fake() for _ in range(8)]
    assert all(table.enter(one, "proxy", shared=True) for one in proxied)
    assert not any(one.aborted for one in proxied) and len(table) == 10


@given(
    st.lists(st.tuples(st.sampled_from("enter touch leave".split()), st.integers(0, 9))),
    st.lists(st.booleans(), min_size=10, max_size=10),
)
def test_no_limit_is_ever_passed(steps: list[tuple[str, int]], served: list[bool]) -> None:
    table = ConnectionTable(4, 2)
    fakes = [Fake(admitted) for admitted in served]
    present: set[Fake] = set()
    for step, n in steps:
        fake, network = fakes[n], "abc"[n % 3]
        if step == "enter" and fake not in present:
            if table.enter(fake, network):
                present.add(fake)
        elif step == "touch":
            table.touch(fake)
        elif step == "leave":
            table.leave(fake)
            present.discard(fake)
        gone = {one for one in present if one.aborted}
        assert not any(one.admitted for one in gone)
        for one in gone:
            one.aborted = False
        present -= gone
        assert len(table) == len(present) <= 4
        for name in "abc":
            assert sum("abc"[fakes.index(one) % 3] == name for one in present) <= 2


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_what_counts_as_one_client(host: str, network: str) -> None:
    assert network_of(host) == network
