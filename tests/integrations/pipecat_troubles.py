"""Play what goes wrong over a lipstream server, and print what the pipeline was told as JSON.

    python pipecat_troubles.py URL TOKEN

It runs in an environment of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    InterruptionFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.workers.runner import WorkerRunner

from pipecat_lipstream import LipstreamServerError, LipstreamTransport
from tests.integrations.pipecat_scene import Told, Viewer, speech, watch


class Turns(BaseObserver):
    """Waits for frames that the output pushes."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        self._source = source
        self.came = {
            kind: asyncio.Event()
            for kind in (BotStartedSpeakingFrame, BotStoppedSpeakingFrame, InterruptionFrame)
        }

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.source is self._source and type(data.frame) in self.came:
            self.came[type(data.frame)].set()

    async def wait(self, kind: type) -> None:
        """Wait for the next one of these."""
        self.came[kind].clear()
        await asyncio.wait_for(self.came[kind].wait(), 20)


async def play(url: str, token: str, trouble: str) -> dict[str, Any]:
    """Say something, and have it cut off from outside of the pipeline."""
    transport = LipstreamTransport(server_url=url, avatar="face", token=token)
    session, viewer = await transport.open(), Viewer()
    ended = asyncio.Event()

    @transport.event_handler("on_session_ended")
    async def on_session_ended(transport: LipstreamTransport, session: Any) -> None:
        ended.set()

    output = transport.output()
    told, turns = Told(output), Turns(output)
    pipeline = Pipeline([transport.input(), output])
    worker = PipelineWorker(pipeline, observers=[told, turns], cancel_on_idle_timeout=False)
    runner = WorkerRunner()
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await watch(viewer, url, session)
    for frame in speech(6.0, "long"):
        await worker.queue_frame(frame)
    await turns.wait(BotStartedSpeakingFrame)
    address = f"{url}/v1/sessions/{session['id']}"
    stopping = asyncio.create_task(turns.wait(BotStoppedSpeakingFrame))
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
        if trouble == "interrupted":
            interrupting = asyncio.create_task(turns.wait(InterruptionFrame))
            await http.post(f"{address}/interrupt")
            await interrupting
        else:
            await http.delete(address)
            await asyncio.wait_for(ended.wait(), 20)
    await stopping
    began = time.monotonic()
    for frame in speech(1.0, "next"):
        await worker.queue_frame(frame)
    await worker.queue_frame(EndFrame())
    await running
    return {"told": told.names(), "end_s": time.monotonic() - began}


async def refusal(url: str, **arguments: Any) -> list[Any]:
    """What the server answers when no session is opened."""
    transport = LipstreamTransport(server_url=url, **arguments)
    try:
        await transport.open()
    except LipstreamServerError as error:
        return [error.status, str(error)]
    finally:
        await transport.close()
    raise AssertionError("the server has opened a session")


async def main(url: str, token: str) -> dict[str, Any]:
    return {
        "wrong_token": await refusal(url, avatar="face", token="wrong-token-0123"),
        "no_avatar": await refusal(url, avatar="nobody", token=token),
        "no_server": await refusal("http://127.0.0.1:9", avatar="face"),
        "interrupted": await play(url, token, "interrupted"),
        "ended": await play(url, token, "ended"),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
