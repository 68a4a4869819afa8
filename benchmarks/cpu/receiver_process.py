"""Viewers in a process of their own: they receive everything and decode nothing.

    python -m benchmarks.cpu.receiver_process

Driven by one JSON object a line: {"viewer": n} asks for an offer and answers {"viewer", "sdp"};
{"viewer": n, "sdp": answer} connects it and answers {"viewer", "state"}. The end of input ends it.
Loss, jitter and reports are those of real connections; decoding would measure the viewer, whose
processor is not ours.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from queue import Queue
from typing import Any

import aiortc.rtcrtpreceiver
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription


def ignore_media(
    loop: asyncio.AbstractEventLoop,
    input_q: Queue[Any],
    output_q: asyncio.Queue[Any],
    decode_error: threading.Event,
) -> None:
    """In place of aiortc's decoder thread."""
    while input_q.get() is not None:
        pass
    asyncio.run_coroutine_threadsafe(output_q.put(None), loop)


async def serve() -> None:
    """Until standard input ends."""
    loop = asyncio.get_running_loop()
    viewers: dict[int, RTCPeerConnection] = {}
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        message = json.loads(line)
        number = message["viewer"]
        if "sdp" in message:
            await viewers[number].setRemoteDescription(
                RTCSessionDescription(message["sdp"], "answer")
            )
            answer = {"viewer": number, "state": "connecting"}
        else:
            viewer = viewers[number] = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            for kind in ("audio", "video"):
                viewer.addTransceiver(kind, direction="recvonly")
            await viewer.setLocalDescription(await viewer.createOffer())
            answer = {"viewer": number, "sdp": viewer.localDescription.sdp}
        print(json.dumps(answer), flush=True)
    await asyncio.gather(*(viewer.close() for viewer in viewers.values()))


if __name__ == "__main__":
    aiortc.rtcrtpreceiver.decoder_worker = ignore_media
    asyncio.run(serve())
