"""Talk by the simli-ai client, unchanged, and print what its tracks gave as JSON.

    python simli_client.py URL KEY

It runs in an environment of its own, with nothing of this repository.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import numpy as np
from simli import SimliClient, SimliConfig
from simli.events import SimliEvent

RATE = 16_000  # Hz; of what is sent
BLOCK_S = 0.01
LOUD = 300  # mean of the absolute samples of a block


class Heard:
    """The blocks of sound that came, each with when it came and whether it was loud."""

    def __init__(self) -> None:
        self.blocks: list[tuple[float, bool]] = []

    def take(self, samples: np.ndarray, rate: int) -> None:
        """Mono samples, int16."""
        now, size = time.monotonic(), round(rate * BLOCK_S)
        for start in range(0, len(samples) - size + 1, size):
            block = np.abs(samples[start : start + size].astype(np.int32))
            self.blocks.append((now, bool(block.mean() > LOUD)))

    def seconds(self, since: float, until: float) -> float:
        return BLOCK_S * sum(loud for at, loud in self.blocks if since <= at < until)

    def silent_ms(self, since: float) -> float:
        """From `since` to the last loud block."""
        last = max((at for at, loud in self.blocks if loud), default=since)
        return 1000 * (last - since)


def tone(seconds: float) -> bytes:
    """A tone of 440 Hz, PCM."""
    turns = 2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE
    return (8000 * np.sin(turns)).astype("<i2").tobytes()


async def main(url: str, key: str) -> dict[str, Any]:
    client = SimliClient(api_key=key, config=SimliConfig(faceId="face"), simliURL=url)
    await client.start()
    heard, pictures = Heard(), [0]
    events: list[Any] = []

    def note(word: str) -> Any:
        async def called() -> None:
            events.append(word)

        return called

    for event in (SimliEvent.SPEAK, SimliEvent.SILENT, SimliEvent.ACK):
        client.registerEventCallback(event, note(event.name))

    async def watch() -> None:
        async for picture in client.getVideoStreamIterator():
            pictures[0] += 1
            events.extend([(picture.width, picture.height)] if pictures[0] == 1 else [])

    async def listen() -> None:
        async for frame in client.getAudioStreamIterator():
            samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
            heard.take(samples, frame.sample_rate)

    tasks = [asyncio.create_task(watch()), asyncio.create_task(listen())]
    await client.sendSilence()
    await asyncio.sleep(1)
    found: dict[str, Any] = {}
    began = time.monotonic()
    await client.send(tone(3.0))
    await asyncio.sleep(4.5)
    found["heard_s"] = heard.seconds(began, time.monotonic())
    began = time.monotonic()
    for start in range(0, 3 * RATE * 2, 6_000):  # as a voice speaks, in real time
        await client.send(tone(3.0)[start : start + 6_000])
        await asyncio.sleep(max(0.0, began + (start + 6_000) / (2 * RATE) - time.monotonic()))
    await asyncio.sleep(1.5)
    found["paced_s"] = heard.seconds(began, time.monotonic())
    await client.send(tone(5.0))
    await asyncio.sleep(1.5)
    skipped = time.monotonic()
    await client.clearBuffer()
    await asyncio.sleep(1)
    found["silent_ms"] = heard.silent_ms(skipped)
    began = time.monotonic()
    await client.send(tone(5.0))
    await asyncio.sleep(1)
    replaced = time.monotonic()
    await client.sendImmediate(tone(1.0))
    await asyncio.sleep(2)
    found["immediate_s"] = heard.seconds(replaced, time.monotonic())
    found["stop_reason"] = getattr(client, "stopReason", None)
    await client.stop()
    await asyncio.gather(*tasks)
    return {**found, "pictures": pictures[0], "events": events}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
