"""WebRTC receivers in a process of their own, which decode nothing.

    python -m benchmarks.cpu.receiver_process

Driven by one JSON object a line: {"viewer": n} asks for an offer and answers {"viewer", "sdp"};
{"viewer": n, "sdp": answer} connects it and answers {"viewer", "state"}; {"count": true} answers
{"pictures": received so far by all}. The end of input ends it. Loss, jitter and reports are those
of real connections; decoding would measure the receiver, whose processor is not ours.
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


class PictureCount:
    """The pictures that all receivers were sent, in place of aiortc's decoder threads."""

    def __init__(self) -> None:
        self.pictures = 0

    def decode(
        self,
        loop: asyncio.AbstractEventLoop,
        input_q: Queue[Any],
        output_q: asyncio.Queue[Any],
        decode_error: threading.Event,
    ) -> None:
        """Count one receiver's pictures until its queue ends."""
        while (task := input_q.get()) is not None:
            codec, _ = task
            if codec.mimeType.startswith("video/"):
                loop.call_soon_threadsafe(self._count)
        asyncio.run_coroutine_threadsafe(output_q.put(None), loop)

    def _count(self) -> None:
        self.pictures += 1


async def serve(count: PictureCount) -> None:
    """Obey messages until standard input ends."""
    loop = asyncio.get_running_loop()
    viewers: dict[int, RTCPeerConnection] = {}
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        message = json.loads(line)
        answer: dict[str, object]
        number = message.get("viewer")
        if "count" in message:
            answer = {"pictures": count.pictures}
        elif "sdp" in message:
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
    counted = PictureCount()
    aiortc.rtcrtpreceiver.decoder_worker = counted.decode
    asyncio.run(serve(counted))
