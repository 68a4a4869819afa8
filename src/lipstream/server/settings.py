"""The settings of `lipstream serve`, as frozen values."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from lipstream.errors import OptionError
from lipstream.integrations.livekit.room_address import RoomServers
from lipstream.server.addresses import (
    check_origin,
    check_public_ip,
    check_stun_url,
    check_turn_url,
    check_webhook,
    port_range,
)
from lipstream.server.outputs.push_address import PushAddresses
from lipstream.server.webhooks.signature import key_of

MEBIBYTE = 1 << 20
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
TOKEN = re.compile(r"[A-Za-z0-9._~+-]{8,256}")  # fits a header and a WebSocket subprotocol
WORKER_ID = re.compile(r"[a-z0-9]{1,16}")
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """The limits of uploads. Everything decoded is counted while it is decoded."""

    body: int = 64 * MEBIBYTE  # bytes of a request with a file
    picture_pixels: int = 50_000_000  # by the header, before anything is decoded
    clip_pixels: int = 1920 * 1080  # of each picture of a clip
    clip_seconds: int = 60  # 1500 frames
    audio_seconds: int = 600
    audio_bytes: int = 256 * MEBIBYTE  # of decoded sound, as 32-bit samples
    # Of the processes that decode, of which one at most prepares an avatar: 1.5 GiB together.
    avatar_memory: int = 1024 * MEBIBYTE
    memory: int = 512 * MEBIBYTE  # of one that decodes sound, or reads a header
    audio_cpu_s: int = 20  # processor time of the process that decodes sound
    avatar_cpu_s: int = 300  # the same for an avatar: faces are measured in 1500 frames
    picture_cpu_s: int = 60  # the same for an avatar of one picture
    wall_s: int = 600  # wall-clock time of either


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The behaviour of the server. Raises OptionError for what is unsafe or impossible."""

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()  # of pages elsewhere that may use this server
    max_sessions: int | None = None  # a cap on what was measured
    cores: int | None = None  # this process's share of the machine; None: all it may use
    max_side: int = 768  # pixels; larger uploads are shrunk once
    max_avatars: int = 32  # uploaded ones
    avatar_space: int = 1024 * MEBIBYTE  # bytes of uploaded avatars together
    data: Path | None = None  # where uploads are kept, or copies of a store's; None: not for long
    store: str | None = None  # a folder or an address where servers share uploaded avatars
    upload_ttl_days: int = 30  # then an upload that is not listed and not used goes; 0: never
    share_uploads: bool = False  # list them for everybody, not only for those who know their ids
    uploads: UploadLimits = UploadLimits()
    connect_timeout_s: int = 15  # from POST /v1/sessions to the first picture
    grace_s: int = 30  # a lost connection may come back
    idle_timeout_s: int = 600  # without speech
    max_duration_s: int = 4 * 3600
    drain: Literal["speech", "sessions"] = "speech"  # what is waited for after SIGTERM
    drain_timeout_s: int = 300
    rate: float = 20  # changing requests per second and client; 0 for no limit
    max_connections: int = 500  # TCP connections at once; each is an open file
    trusted_proxies: tuple[str, ...] = ()  # whose X-Forwarded-For and -Proto are believed
    worker_id: str | None = None  # the ids of its sessions end in it, for a front to tell whose
    front_host: str | None = None  # the address on which the front before this worker listens
    costs: Path | None = None  # where measured costs are kept for processes of the same options
    record: Path | None = None  # the folder in which sessions are kept
    push_to: tuple[str, ...] = field(default=(), repr=False)  # beginnings of addresses of pushes
    livekit: tuple[str, ...] = ()  # servers of LiveKit whose rooms sessions may join
    public_ip: str | None = None
    udp_ports: str | None = None  # "40000-40999": of viewers' sockets; None: the system chooses
    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()
    turn_secret: str | None = field(default=None, repr=False)
    webhook: str | None = field(default=None, repr=False)  # its path may hold a secret
    webhook_secret: str | None = field(default=None, repr=False)
    private_peers: bool = True  # viewers may be in private networks
    codec: str | None = None  # h264 or vp8; None takes the best both sides have

    def __post_init__(self) -> None:
        if self.token is not None and not TOKEN.fullmatch(self.token):
            raise OptionError(
                "the token must be 8 to 256 letters, digits or any of ._~+-; make one with "
                "`python -c 'import secrets; print(secrets.token_urlsafe(24))'`."
            )
        if not self.loopback and self.token is None:
            open_host = self.host if not _is_loopback(self.host) else self.front_host
            raise OptionError(
                f"{open_host} can be reached from other machines, so a token is needed; give "
                "--token or set LIPSTREAM_TOKEN, or use --host 127.0.0.1."
            )
        if self.worker_id is not None and not WORKER_ID.fullmatch(self.worker_id):
            raise OptionError(
                f"--worker-id: {self.worker_id!r} is no id; write 1 to 16 small letters or digits."
            )
        for origin in self.origins:
            check_origin(origin)
        for url in self.stun_urls:
            check_stun_url(url)
        for url in self.turn_urls:
            check_turn_url(url)
        PushAddresses(self.push_to)  # OptionError for what is no address
        self._check_livekit()
        if self.public_ip is not None:
            check_public_ip(self.public_ip)
        self._check_webhook()
        if self.store is not None and self.store_folder is not None and self.data is not None:
            raise OptionError("--store keeps uploads, and so does --data; give only one of them.")
        self.trusted_networks  # OptionError for what is no address  # noqa: B018
        self.udp_range  # or for what is no range  # noqa: B018
        if self.turn_urls and not self.turn_secret:
            raise OptionError("--turn-url needs --turn-secret, which the TURN server knows too.")

    def _check_livekit(self) -> None:
        try:
            RoomServers(self.livekit)
        except OptionError:
            raise OptionError(
                "--livekit is no address of a LiveKit server; write wss://host or ws://host:7880."
            ) from None

    def _check_webhook(self) -> None:
        if self.webhook is not None:
            check_webhook(self.webhook)
        if (self.webhook is None) != (self.webhook_secret is None):
            raise OptionError("--webhook and --webhook-secret need each other; give both or none.")
        if self.webhook_secret is not None:
            key_of(self.webhook_secret)

    @property
    def store_folder(self) -> Path | None:
        """The folder that keeps uploads for longer than this server runs, if it is one."""
        if self.store is None:
            return self.data
        scheme, separator, rest = self.store.partition("://")
        if not separator:
            return Path(self.store)
        return Path(rest) if scheme == "file" else None

    @property
    def trusted_networks(self) -> tuple[Network, ...]:
        """`trusted_proxies` as networks; OptionError for one that is no address."""
        networks = []
        for text in self.trusted_proxies:
            try:
                networks.append(ipaddress.ip_network(text))
            except ValueError:
                raise OptionError(
                    f"--trusted-proxy: {text!r} is no IP address or network; write 127.0.0.1 or "
                    "10.0.0.0/8."
                ) from None
        return tuple(networks)

    @property
    def udp_range(self) -> range | None:
        """`udp_ports` as numbers; OptionError for what is no range."""
        return None if self.udp_ports is None else port_range(self.udp_ports)

    @property
    def loopback(self) -> bool:
        """True when only this machine can reach the server, or the front before it."""
        return all(map(_is_loopback, (self.host, self.front_host or self.host)))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
