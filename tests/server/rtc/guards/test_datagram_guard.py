"""Which datagrams get through to DTLS, and what all the others cost. The network is a fake."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest
from aioice import stun
from aioice.candidate import Candidate
from aioice.ice import CandidatePair, Connection, get_or_create_mdns_protocol
from hypothesis import given
from hypothesis import strategies as st

from lipstream.server.rtc.guards.datagram_guard import (
    MAX_ADDRESSES,
    MAX_EARLY,
    MAX_EARLY_BYTES,
    MAX_STUN_BYTES,
    MAX_UNREAD,
    STUN_BYTES_PER_S,
    DatagramGuard,
    GuardedSocket,
    demultiplex,
    guard_mdns,
)
from lipstream.server.rtc.guards.drop_log import DropLog
from lipstream.server.token_bucket import TokenBucket

VIEWER, STRANGER = ("198.51.100.7", 4000), ("203.0.113.5", 4000)
HELLO = bytes([22]) + bytes(60)  # of DTLS
SOUND = bytes([128]) + bytes(60)


class Wire:
    """Stands where a socket would: counts what is answered."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Any]] = []

    def sendto(self, data: bytes, address: Any) -> None:
        self.sent.append((data, address))


class Setup:
    """A guard, one socket of it, and what comes out at the other end. Make it in a loop."""

    def __init__(self) -> None:
        self.connection = Connection(ice_controlling=False)
        self.connection.remote_username, self.connection.remote_password = "them", "x" * 22
        self.drops, self.wire = DropLog(), Wire()
        self.guard = DatagramGuard(self.connection, self.drops, lambda data: True)
        self.socket = GuardedSocket(self.connection, self.guard)
        self.socket.transport = cast(asyncio.DatagramTransport, self.wire)
        self.socket.local_candidate = Candidate("1", 1, "udp", 1, "192.0.2.1", 1, "host")

    def check(self, address: tuple[str, int] = VIEWER, **attributes: Any) -> bytes:
        """A check of ICE as the viewer sends it."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes.update(
            {"USERNAME": f"{self.connection.local_username}:them", "PRIORITY": 1, **attributes}
        )
        message.add_message_integrity(self.connection.local_password.encode())
        return bytes(message)

    def come(self, data: bytes, address: tuple[str, int] = VIEWER) -> None:
        self.socket.datagram_received(data, address)

    def answer_checks(self, address: tuple[str, int] = VIEWER) -> None:
        """A check of ours was answered there."""
        pair = CandidatePair(self.socket, Candidate("2", 1, "udp", 1, *address, "host"))
        pair.remote_candidate._network_host = address[0]
        pair.state = CandidatePair.State.SUCCEEDED
        self.connection._check_list.append(pair)

    @property
    def through(self) -> list[bytes]:
        """What DTLS would read."""
        queue = self.connection._queue._queue  # type: ignore[attr-defined]
        return [item[0] for item in queue]


def with_setup(test: Callable[[Setup], None]) -> None:
    async def run() -> None:
        test(Setup())

    asyncio.run(run())


@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        (b"", None),
        (bytes(19), None),
        (bytes(4) + stun.COOKIE.to_bytes(4, "big") + bytes(12), "stun"),
        (bytes(4) + stun.COOKIE.to_bytes(4, "big") + bytes(16), None),
        (bytes(20), None),
        (HELLO, "dtls"),
        (HELLO[:12], None),
        (bytes([64]) + bytes(60), None),
        (SOUND, "rtp"),
        (SOUND[:11], None),
        (bytes([192]) + bytes(60), None),
    ],
)
def test_the_first_byte_tells_the_protocol(data: bytes, protocol: str | None) -> None:
    assert demultiplex(data) == protocol


def test_only_addresses_that_answered_checks_reach_dtls() -> None:
    def test(setup: Setup) -> None:
        setup.guard.settle()
        setup.answer_checks()
        for data in (HELLO, SOUND, b"", b"\x16", bytes(60)):
            setup.come(data, STRANGER)
            setup.come(data)
        assert setup.through == [HELLO, SOUND]
        assert setup.drops.totals == {"stranger": 2, "malformed": 6}
        assert setup.guard.received == 10 and not setup.wire.sent

    with_setup(test)


def test_what_comes_before_ice_is_settled_is_kept_within_bounds() -> None:
    """A first flight of DTLS, and no more; of strangers nothing."""

    def test(setup: Setup) -> None:
        for _ in range(1000):
            setup.come(HELLO)
        setup.come(setup.check())
        flights = [HELLO + bytes([number]) * 1340 for number in range(100)]
        for data in flights:
            setup.come(data)
            setup.come(data, STRANGER)
        assert not setup.through
        setup.answer_checks()
        setup.guard.settle()
        kept = setup.through
        assert kept == flights[: len(kept)]
        assert 10 < len(kept) <= MAX_EARLY and sum(map(len, kept)) <= MAX_EARLY_BYTES
        assert setup.drops.totals == {"stranger": 1100, "early": 100 - len(kept)}

    with_setup(test)


def test_a_viewer_may_change_its_network() -> None:
    """What comes from its new address before our check is answered there is kept for then."""

    def test(setup: Setup) -> None:
        moved = ("198.51.100.8", 5000)
        setup.answer_checks()
        setup.guard.settle()
        setup.come(setup.check(moved), moved)
        setup.come(SOUND, moved)
        assert not setup.through
        setup.answer_checks(moved)
        setup.come(setup.check(moved), moved)
        setup.come(HELLO)
        assert setup.through == [SOUND, HELLO]

    with_setup(test)


def test_what_dtls_does_not_take_is_not_kept_without_end() -> None:
    def test(setup: Setup) -> None:
        setup.answer_checks()
        setup.guard.settle()
        for _ in range(MAX_UNREAD + 10):
            setup.come(SOUND)
        assert len(setup.through) == MAX_UNREAD and setup.drops.totals == {"unread": 10}

    with_setup(test)


def test_checks_from_everywhere_do_not_become_pairs_without_end() -> None:
    """Also of somebody who knows the password: each address is a pair and a task."""

    def test(setup: Setup) -> None:
        setup.connection._early_checks_done = True
        setup.connection.check_start_task = lambda pair: None  # type: ignore[method-assign]
        for port in range(1, 301):
            setup.come(setup.check(), ("198.51.100.7", port))
        assert len(setup.connection.remote_candidates) == MAX_ADDRESSES
        assert setup.drops.totals == {"stranger": 300 - MAX_ADDRESSES}

    with_setup(test)


def test_checks_are_parsed_up_to_their_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of many attributes take a third of a millisecond each."""
    parsed: list[int] = []
    parse = stun.parse_message

    def counting(data: bytes) -> stun.Message:
        parsed.append(len(data))
        return parse(data)

    def test(setup: Setup) -> None:
        setup.guard._stun = TokenBucket(STUN_BYTES_PER_S, MAX_STUN_BYTES, lambda: 0.0)
        for _ in range(1000):
            setup.come(stun_with(setup, struct.pack("!HH", 0x7000, 0) * 340))
        assert 40 < len(parsed) and sum(parsed) <= MAX_STUN_BYTES
        assert setup.drops.totals["stun"] == 1000 - len(parsed)

    monkeypatch.setattr("aioice.stun.parse_message", counting)
    with_setup(test)


def test_a_stranger_who_asks_gets_no_answer() -> None:
    """Nothing is sent on to an address that somebody made up."""

    def test(setup: Setup) -> None:
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        setup.come(bytes(request), STRANGER)
        request.attributes["USERNAME"] = f"{setup.connection.local_username}:them"
        setup.come(bytes(request), STRANGER)
        request.add_message_integrity(b"a guess")
        setup.come(bytes(request), STRANGER)
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)
        setup.come(bytes(answer), STRANGER)
        assert not setup.wire.sent and setup.drops.totals == {"stranger": 4}
        setup.come(setup.check(), VIEWER)
        assert [address for _, address in setup.wire.sent] == [VIEWER]

    with_setup(test)


def stun_with(setup: Setup, attributes: bytes) -> bytes:
    """A request that is addressed to us, and goes on with `attributes`."""
    name = f"{setup.connection.local_username}:them".encode()
    body = struct.pack("!HH", 6, len(name)) + name + bytes(-len(name) % 4) + attributes
    return struct.pack("!HHI12s", 1, len(body), stun.COOKIE, b"x" * 12) + body


def test_attributes_of_a_wrong_length_are_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def test(setup: Setup) -> None:
        for kind in stun.ATTRIBUTES_BY_TYPE:
            for length in (0, 1, 3, 5, 9):
                value = struct.pack("!HH", kind, length) + b"\xff" * (length + -length % 4)
                setup.come(stun_with(setup, value), STRANGER)
        assert setup.drops.totals["malformed"] > 50
        assert sum(setup.drops.totals.values()) == 5 * len(stun.ATTRIBUTES_BY_TYPE)
        assert not setup.wire.sent and not setup.through

    caplog.set_level(logging.WARNING)
    with_setup(test)
    assert not caplog.records


def test_a_check_without_a_priority_is_no_traceback() -> None:
    """The viewer himself sends it: it is signed."""

    def test(setup: Setup) -> None:
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{setup.connection.local_username}:them"
        message.add_message_integrity(setup.connection.local_password.encode())
        setup.connection._early_checks_done = True
        setup.come(bytes(message))
        assert setup.drops.totals == {"malformed": 1}

    with_setup(test)


@given(
    first=st.sampled_from([0, 1, 2, 3, 21, 22, 128, 200, 255]),
    rest=st.binary(max_size=80),
    whole=st.booleans(),
)
def test_no_datagram_at_all_raises_or_passes(first: int, rest: bytes, whole: bool) -> None:
    def test(setup: Setup) -> None:
        setup.guard.settle()
        setup.answer_checks()
        data = stun_with(setup, rest) if whole else bytes([first]) + rest
        setup.come(data, STRANGER)
        assert not setup.through and not setup.wire.sent

    with_setup(test)


def record(name: bytes, address: bytes) -> bytes:
    """An answer of mDNS that claims an address for `name`.local."""
    labels = bytes([len(name)]) + name + b"\x05local\x00"
    answer = struct.pack("!HHIH", 1, 0x8001, 120, len(address)) + address
    return struct.pack("!HHHHHH", 0, 0x8400, 0, 1, 0, 0) + labels + answer


def test_only_awaited_answers_are_read_by_the_socket_for_names() -> None:
    """It is open to everybody while a viewer is connected whose browser hides its address."""

    async def test() -> tuple[str | None, Mapping[str, int]]:
        connection, drops = Connection(ice_controlling=False), DropLog()
        await guard_mdns(connection, drops)
        protocol = await get_or_create_mdns_protocol(connection)
        odd = record(b"wanted", b"abc")
        protocol.datagram_received(odd, ("192.0.2.9", 5353))  # nothing was asked
        asking = asyncio.create_task(protocol.resolve("wanted.local"))
        await asyncio.sleep(0)
        protocol.datagram_received(odd, ("192.0.2.9", 5353))
        protocol.datagram_received(record(b"wanted", bytes(4)), ("192.0.2.9", 4000))
        protocol.datagram_received(record(b"wanted", bytes([198, 51, 100, 7])), ("192.0.2.9", 5353))
        found = await asking
        await connection.close()
        return found, drops.totals

    assert asyncio.run(test()) == ("198.51.100.7", {"malformed": 1})
