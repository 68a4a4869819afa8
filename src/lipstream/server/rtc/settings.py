"""The settings of viewers' connections, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """The settings of viewers' connections."""

    ice_servers: tuple[str, ...] = ()  # stun:, turn: and turns: addresses, for clients
    turn_secret: str | None = field(default=None, repr=False)  # shared with the TURN server
    turn_ttl: int = 3600  # seconds that a client's TURN credentials last
    relayed: bool = False  # this server itself is only reachable through the TURN server
    public_ip: str | None = None  # of a 1:1 NAT before this machine
    private: bool = True  # peers may be in private networks and on this machine
    codec: str | None = None  # h264 or vp8 where the peer has both; None: h264
    bitrate: int = 1_500_000  # bits per second of video, at most
    hardware: bool = False  # encode H.264 on the GPU; see `nvenc_works`
    max_candidates: int = 50  # of one peer
    connect_s: int = 10  # from the offer to the connection
    watchdog_s: int = 6  # without a report of the peer
