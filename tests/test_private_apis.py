"""The private parts of other libraries that lipstream uses, by name.

pyproject.toml bounds the versions of these libraries. Whoever raises a bound runs this first: each
part that is gone fails with a sentence that says who used it.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aioice.ice import Connection, StunProtocol
from aioice.mdns import MDnsProtocol
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCRtpReceiver,
    rtcdtlstransport,
)
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from uvicorn import Server
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from lipstream.server.app import create_app
from lipstream.server.http.uvicorn_server import configured
from lipstream.server.rtc.udp_ports import RangedAsyncio
from lipstream.server.settings import ServeSettings
from tests.server.fake_runtime import FakeRuntime

SOURCE = Path(__file__).parents[1] / "src" / "lipstream"

USERS = {  # private name: the module that uses it
    "_connection": "server/rtc/ice_dtls.py",
    "_local_candidates": "server/rtc/ice_dtls.py",
    "_check_list": "server/rtc/guards/datagram_guard.py",
    "_queue": "server/rtc/guards/datagram_guard.py",
    "_handle_rtcp_data": "server/rtc/guards/srtp_guard.py",
    "_handle_rtp_data": "server/rtc/guards/srtp_guard.py",
    "_role_set": "server/rtc/ice_dtls.py",
    "_set_role": "server/rtc/ice_dtls.py",
    "_task": "server/rtc/ice_dtls.py",
    "_track": "server/rtc/ice_dtls.py",
    "_set_rtcp_ssrc": "server/rtc/ice_dtls.py",
    "_rtp_router": "server/rtc/rtp_sender.py",
    "_send_rtp": "server/rtc/rtp_sender.py",
    "_C": "rendering/musetalk/optimizations",
    "_nn": "rendering/musetalk/optimizations/mkldnn_pack.py",
    "_convolution_pointwise": "rendering/musetalk/optimizations/mkldnn_pack.py",
}
OURS = {"_samples", "_start"}  # private to a class of lipstream, and used within that class
DOCUMENTED = {"_exit"}  # of os: public in spite of its name


def private_names() -> Iterator[tuple[str, Path]]:
    """(name, file) of every private attribute of an object other than self."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
                continue
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not own and not node.attr.startswith("__"):
                yield node.attr, path


def has(library: str, thing: Any, *names: str) -> None:
    """Fail with a sentence unless `thing` has all attributes."""
    for name in names:
        assert hasattr(thing, name), (
            f"{library} has no {getattr(thing, '__name__', type(thing).__name__)}.{name} any more; "
            f"{USERS.get(name, 'src/lipstream')} uses it."
        )


def test_every_private_name_in_use_has_an_entry() -> None:
    for name, path in private_names():
        assert name in USERS.keys() | OURS | DOCUMENTED, (
            f"{path} uses {name}, which this file does not check."
        )
    used = {name for name, _ in private_names()}
    assert USERS.keys() <= used, f"nothing uses {USERS.keys() - used} any more."


def test_aiortc_and_aioice() -> None:
    async def check() -> None:
        gatherer = RTCIceGatherer([])
        ice = RTCIceTransport(gatherer)
        dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
        receiver = RTCRtpReceiver("audio", dtls)
        has("aiortc", gatherer, "_connection")
        has("aiortc", ice, "_connection", "_role_set")
        has("aiortc", dtls, "_set_role", "_task", "_rtp_router", "_send_rtp")
        has("aiortc", dtls, "_handle_rtcp_data", "_handle_rtp_data")
        has("aiortc", receiver, "_track", "_set_rtcp_ssrc")
        has("aiortc", dtls._rtp_router, "register_sender", "unregister_sender")
        connection = gatherer._connection
        has("aioice", connection, "_local_candidates", "local_candidates", "ice_controlling")
        parameters = inspect.signature(connection.get_component_candidates).parameters
        assert [*parameters] == ["component", "addresses", "timeout"], (
            f"aioice's get_component_candidates takes {[*parameters]}; ice_dtls.py replaces it."
        )
        has("aioice", connection, "_check_list", "_queue", "data_received", "request_received")
        has("aioice", StunProtocol(connection), "transactions")
        has("aioice", MDnsProtocol(), "datagram_received", "queries")
        gather = Connection.get_component_candidates
        inner = [part for part in gather.__code__.co_consts if inspect.iscode(part)]
        assert gather.__closure__ is None and any(
            "StunProtocol" in one.co_names for one in inner
        ), (
            "aioice's get_component_candidates opens its sockets by another name; "
            "datagram_guard.py replaces StunProtocol in it."
        )
        used = set(dir(RangedAsyncio)) - set(dir(object))
        assert set(gather.__code__.co_names) & set(dir(asyncio)) <= used, (
            "aioice's get_component_candidates uses more of asyncio; udp_ports.py stands for it."
        )
        await ice.stop()

    asyncio.run(check())
    has("aiortc", H264Encoder, "pack")
    has("aiortc", Vp8Encoder, "pack")
    assert "_handle_rtcp_packet" in inspect.getsource(rtcdtlstransport), (
        "aiortc hands reports to senders by another name; rtp_sender.py takes them by this one."
    )


def test_uvicorn() -> None:
    has("uvicorn", H11Protocol, "connection_made", "data_received", "connection_lost")
    has("uvicorn", H11Protocol, "handle_websocket_upgrade")
    has("uvicorn", Server, "startup", "handle_exit", "on_tick")

    async def check() -> None:
        config = configured(create_app(ServeSettings(), runtime=FakeRuntime()))
        config.load()
        server = Server(config)
        protocol = H11Protocol(config, server.server_state, {})
        has("uvicorn", server, "started", "should_exit", "force_exit")
        has("uvicorn", protocol, "conn", "loop", "transport", "timeout_keep_alive_task")
        has("h11", protocol.conn, "their_state")
        websocket = WebSocketsSansIOProtocol(config, server.server_state, {})
        has("uvicorn", websocket, "close_sent", "disconnected", "read_paused", "writable", "queue")
        has("uvicorn", websocket, "handle_cont", "handle_ping", "handle_pong", "run_asgi")
        has("uvicorn", websocket, "handle_parser_exception")
        has("websockets", websocket.conn, "fail")

    asyncio.run(check())


def test_huggingface_hub() -> None:
    hub = pytest.importorskip("huggingface_hub")
    from huggingface_hub import errors
    from huggingface_hub.file_download import http_get

    missing = {"resume_size", "headers", "expected_size"} - inspect.signature(
        http_get
    ).parameters.keys()
    assert not missing, (
        f"huggingface_hub's http_get takes no {missing} any more; hub.py gives them."
    )
    transport = errors.HfHubHTTPError.__mro__[1]
    assert transport.__name__ == "HTTPError" and transport.__module__.startswith("httpx"), (
        f"huggingface_hub's HTTP errors are {transport} now; hub.py catches their base."
    )
    has("huggingface_hub", hub, "get_hf_file_metadata", "try_to_load_from_cache")


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    has("torch", torch, "_C")
    has("torch", torch._C, "_nn")
    if torch.version.cuda is not None:
        has("torch", torch._C, "_cuda_clearCublasWorkspaces")
    has("torch", torch.ops.mkldnn, "_convolution_pointwise")
