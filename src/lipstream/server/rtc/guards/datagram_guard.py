"""Decides which datagrams of a viewer's UDP sockets go on to ICE and to DTLS.

aioice hands on whatever comes, from any address, and keeps all of it until DTLS begins to read;
aiortc ends the connection over an empty datagram, and a STUN message whose attributes have a wrong
length is a traceback in the log. Here a datagram goes on when it is what it says it is, and comes
from an address that has shown the password of this connection.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, Literal, cast

from aioice import stun
from aioice.ice import CandidatePair, Connection, StunProtocol, get_or_create_mdns_protocol
from aioice.mdns import MDNS_PORT, MDnsProtocol

from lipstream.server.rtc.guards.drop_log import Cause, DropLog
from lipstream.server.rtc.udp_ports import RangedAsyncio
from lipstream.server.token_bucket import TokenBucket

MAX_ADDRESSES = 50  # from which a peer may send checks
STUN_BYTES_PER_S, MAX_STUN_BYTES = 16.0 * 1024, 64 * 1024  # parsed; a check has some 100
MAX_EARLY, MAX_EARLY_BYTES = 16, 16 * 1024  # kept until ICE is settled: more than a first flight
MAX_UNREAD = 512  # datagrams that DTLS has not taken yet
MIN_BYTES = {"dtls": 13, "rtp": 12}  # a record's header (RFC 9147), RTP's (RFC 3550, section 5.1)
COOKIE = stun.COOKIE.to_bytes(4, "big")

Address = tuple[str, int]
Protocol = Literal["stun", "dtls", "rtp"]


def demultiplex(data: bytes) -> Protocol | None:
    """The protocol of a datagram by its first byte (RFC 7983); None where it is none of them, or
    shorter than its header."""
    first = data[0] if data else 255
    if first < 4:
        whole = len(data) >= stun.HEADER_LENGTH and data[4:8] == COOKIE
        length = int.from_bytes(data[2:4], "big") + stun.HEADER_LENGTH
        return "stun" if whole and length == len(data) else None
    if 20 <= first < 64:
        return "dtls" if len(data) >= MIN_BYTES["dtls"] else None
    if 128 <= first < 192:
        return "rtp" if len(data) >= MIN_BYTES["rtp"] else None
    return None


class DatagramGuard:
    """Stands between the sockets of one viewer and its DTLS transport."""

    def __init__(
        self, connection: Connection, drops: DropLog, admits: Callable[[bytes], bool]
    ) -> None:
        """`admits` decides about RTP and RTCP of valid addresses."""
        self.received = 0  # datagrams of any kind so far
        self._connection, self._drops, self._admits = connection, drops, admits
        self._name = f"{connection.local_username}:".encode()  # in every check of our peer
        self._proven: set[Address] = set()  # that have sent something signed with a password
        self._valid: set[tuple[StunProtocol, Address]] = set()  # our checks were answered there
        self._stun = TokenBucket(STUN_BYTES_PER_S, MAX_STUN_BYTES)
        self._early: list[tuple[StunProtocol, Address, bytes]] = []
        self._early_bytes = 0
        self._settled = False

    def gathering(self, ranged: RangedAsyncio | None = None) -> Any:
        """Return aioice's `get_component_candidates`, made to open guarded sockets, and with ports
        of a range where one is given: it cannot be told which class they shall have."""
        gather = Connection.get_component_candidates
        names = {**gather.__globals__, "StunProtocol": self._open_socket}
        if ranged is not None:
            names["asyncio"] = ranged
        copy = FunctionType(gather.__code__, names, gather.__name__, gather.__defaults__)
        return MethodType(copy, self._connection)

    def settle(self) -> None:
        """ICE is done and DTLS reads: hand on what has come early, and the rest as it comes."""
        self._settled = True
        self._release()

    def drop(self, cause: Cause, data: bytes) -> None:
        """Count a datagram that goes no further."""
        self._drops.add(cause, len(data))

    def take_stun(self, socket: StunProtocol, address: Address, data: bytes) -> None:
        """Handle a STUN message that fits its length."""
        if not self._expects(socket, data):
            self.drop("stranger", data)
            return
        if not self._stun.take(len(data)):
            self.drop("stun", data)
            return
        try:
            trusted = self._handle(socket, address, stun.parse_message(data))
        except Exception:
            # Bytes of anybody: aioice raises what its parts raise, struct.error and KeyError too.
            self.drop("malformed", data)
            return
        if not trusted:
            self.drop("stranger", data)
        elif self._early:
            self._release()

    def take_media(self, socket: StunProtocol, address: Address, data: bytes) -> None:
        """Handle DTLS, RTP or RTCP."""
        if self._settled and self._is_valid(socket, address):
            if demultiplex(data) == "dtls" or self._admits(data):
                self._deliver(socket, data)
        elif address not in self._proven:
            self.drop("stranger", data)
        elif len(self._early) >= MAX_EARLY or self._early_bytes + len(data) > MAX_EARLY_BYTES:
            self.drop("early", data)
        else:
            self._early.append((socket, address, data))
            self._early_bytes += len(data)

    def _open_socket(self, receiver: Connection) -> StunProtocol:
        return GuardedSocket(receiver, self)

    def _expects(self, socket: StunProtocol, data: bytes) -> bool:
        """False for what need not be parsed: a request for others, an answer to no request, and
        indications, which ask for nothing."""
        answer, indication = data[0] & 1, data[1] & 0x10  # bits of the class (RFC 8489, section 5)
        if answer:
            return data[8:20] in socket.transactions
        return not indication and self._name in data

    def _handle(self, socket: StunProtocol, address: Address, message: stun.Message) -> bool:
        """Hand a message on to aioice; False where it is not signed by our peer."""
        known = address in self._proven or len(self._proven) < MAX_ADDRESSES
        if message.message_class != stun.Class.REQUEST:
            password = self._connection.remote_password
            if password and message.check_message_integrity(password.encode()) and known:
                self._proven.add(address)
            socket.transactions[message.transaction_id].response_received(message, address)
            return True  # the transaction checks for itself, a server's answer is not signed
        password = self._connection.local_password
        if not (known and message.check_message_integrity(password.encode())):
            return False
        self._proven.add(address)
        self._connection.request_received(message, address, socket)
        return True

    def _is_valid(self, socket: StunProtocol, address: Address) -> bool:
        """True for an address from which a check of ours was answered. One of them is nominated;
        a peer may send from any (RFC 8445, section 12.2), and does while it changes its network."""
        if (socket, address) in self._valid:
            return True
        for pair in self._connection._check_list:
            there = pair.protocol is socket and pair.remote_addr == address
            if there and pair.state == CandidatePair.State.SUCCEEDED:
                self._valid.add((socket, address))
                return True
        return False

    def _release(self) -> None:
        """Hand on what came early from addresses that are valid by now, in its order."""
        early, self._early, self._early_bytes = self._early, [], 0
        for socket, address, data in early:
            self.take_media(socket, address, data)

    def _deliver(self, socket: StunProtocol, data: bytes) -> None:
        if self._connection._queue.qsize() >= MAX_UNREAD:
            self.drop("unread", data)
        else:
            self._connection.data_received(data, socket.local_candidate.component)


class GuardedSocket(StunProtocol):
    """A socket of aioice whose datagrams a `DatagramGuard` sees first."""

    def __init__(self, receiver: Connection, guard: DatagramGuard) -> None:
        super().__init__(receiver)
        self._guard = guard

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        datagram, address = cast(bytes, data), (addr[0], addr[1])  # of IPv6 there are four
        self._guard.received += 1
        protocol = demultiplex(datagram)
        if protocol is None:
            self._guard.drop("malformed", datagram)
        elif protocol == "stun":
            self._guard.take_stun(self, address, datagram)
        else:
            self._guard.take_media(self, address, datagram)


async def guard_mdns(connection: Connection, drops: DropLog) -> None:
    """Guard the socket with which names of candidates are looked up, until `connection` is closed.

    aioice opens one for all connections, at every address of this machine, and parses whatever
    comes; an address of a wrong length is a traceback there. Nothing need be read of it but answers
    while a name is being looked up (RFC 6762, section 6: they come from the port of mDNS). Raises
    OSError when there can be no such socket.
    """
    protocol = await get_or_create_mdns_protocol(connection)

    def receive(data: bytes | str, addr: tuple[Any, ...]) -> None:
        if not protocol.queries or addr[1] != MDNS_PORT:
            return
        try:
            MDnsProtocol.datagram_received(protocol, data, addr)
        except Exception:
            # Bytes of anybody: the parser raises what its parts raise.
            drops.add("malformed", len(data))

    protocol.datagram_received = receive  # type: ignore[method-assign]
