"""The server's processor time under a viewer who asks for everything again: a flood of RTCP NACKs.

    python -m benchmarks.cpu.viewer_reports [--checkout DIR]

A server of the checkout and one viewer, who sends no, 100 and 300 NACKs of 1132 bytes a second,
each of which names 4760 packets. Counted is the server's own process, without those that draw.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import struct
import time
from pathlib import Path

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from benchmarks.cpu.cpu_usage import cpu_seconds
from benchmarks.cpu.served_sessions import AVATAR, open_server

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "examples" / "portrait.png"
ENTRIES = 280  # of a NACK: as many as fit into a packet
RATES = (0, 100, 300, 0, 100, 300)  # NACKs a second
WARM_UP_S, SECONDS, TICK_S = 3.0, 8.0, 0.003


def nack(number: int, ssrc: int) -> bytes:
    """A report that 17 * `ENTRIES` packets of `ssrc` are missing (RFC 4585, section 6.2.1)."""
    lost = [struct.pack("!HH", (97 * number + 17 * n) & 0xFFFF, 0xFFFF) for n in range(ENTRIES)]
    return struct.pack("!BBHII", 0x81, 205, 2 + ENTRIES, 1, ssrc) + b"".join(lost)


async def measure(address: str, pid: int, rate: int) -> float:
    """The share of a core that the server takes while a viewer sends `rate` NACKs a second."""
    viewer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind in ("audio", "video"):
        viewer.addTransceiver(kind, direction="recvonly")
    await viewer.setLocalDescription(await viewer.createOffer())
    async with httpx.AsyncClient(base_url=address, timeout=30) as http:
        session = (await http.post("/v1/sessions", json={"avatar": AVATAR})).json()
        sdp = {"content-type": "application/sdp"}
        offer = viewer.localDescription.sdp
        answer = (await http.post(session["whep_url"], content=offer, headers=sdp)).text
        await viewer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        found = re.search(r"m=video.*?a=ssrc:(\d+)", answer, re.DOTALL)
        assert found is not None
        ssrc = int(found[1])
        await asyncio.sleep(WARM_UP_S)
        dtls = viewer.getReceivers()[0].transport
        before, began, sent = cpu_seconds(pid)["main"], time.monotonic(), 0
        while (passed := time.monotonic() - began) < SECONDS:
            for _ in range(int(passed * rate) - sent):
                await dtls._send_rtp(nack(sent, ssrc))
                sent += 1
            await asyncio.sleep(TICK_S)
        share = (cpu_seconds(pid)["main"] - before) / passed
        state = (await http.get(f"/v1/sessions/{session['id']}")).json()["state"]
        print(f"{sent / passed:8.0f}{100 * share:10.1f}   {state}", flush=True)
        await http.delete(f"/v1/sessions/{session['id']}")
    await viewer.close()
    return share


def main() -> None:
    """Measure each rate twice, by turns."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--checkout", type=Path, default=ROOT)
    checkout = arguments.parse_args().checkout.resolve()
    print(f"{'NACKs/s':>8}{'% of core':>10}   state")
    with open_server(checkout, PORTRAIT, 1) as (address, pid):
        for rate in RATES:
            asyncio.run(measure(address, pid, rate))


if __name__ == "__main__":
    main()
