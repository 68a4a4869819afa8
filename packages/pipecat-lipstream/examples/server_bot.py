"""A bot whose face a lipstream server draws and sends: talk to it at http://localhost:7860.

    lipstream serve --avatar anna=anna.png --token right-token-0123
    pip install '/path/to/lipstream/packages/pipecat-lipstream[examples]'
    export OPENAI_API_KEY=... LIPSTREAM_TOKEN=right-token-0123
    python server_bot.py

LIPSTREAM_URL is the server's address, by default http://127.0.0.1:8080, and AVATAR the avatar's id.
OPENAI_BASE_URL leads to any other server with OpenAI's API for transcriptions, chat and speech.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from dotenv import load_dotenv
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.workers.runner import WorkerRunner

from pipecat_lipstream import LipstreamServerError, LipstreamTransport

load_dotenv()

SERVER = os.environ.get("LIPSTREAM_URL", "http://127.0.0.1:8080")
TOKEN = os.environ.get("LIPSTREAM_TOKEN")
AVATAR = os.environ.get("AVATAR", "anna")
PORT = int(os.environ.get("PORT", "7860"))
PROMPT = "You are a friendly person in a video call. Answer in one or two short sentences."
PAGE = f"""<!doctype html>
<title>A bot with a face</title>
<script type="module" src="{SERVER}/lipstream-avatar.js"></script>
<lipstream-avatar captions style="width: 24rem"></lipstream-avatar>
<p><button>Talk</button></p>
<script type="module">
  const avatar = document.querySelector('lipstream-avatar');
  document.querySelector('button').onclick = async () => {{
    avatar.session = await (await fetch('/bot', {{ method: 'POST' }})).json();
    await avatar.start();
    await avatar.microphone(true);
  }};
</script>
"""

bots: set[asyncio.Task[None]] = set()
workers: set[PipelineWorker] = set()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """End the bots with the program: a pipeline ends only while the event loop still runs."""
    yield
    for worker in list(workers):
        await worker.cancel()
    await asyncio.gather(*bots, return_exceptions=True)


app = FastAPI(lifespan=lifespan)


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    """The page of the viewer."""
    return PAGE


@app.post("/bot")
async def start_bot() -> Any:
    """Start a bot; the answer is what the viewer's page shows."""
    transport = LipstreamTransport(server_url=SERVER, avatar=AVATAR, token=TOKEN)
    try:
        session = await transport.open()
    except LipstreamServerError as error:
        raise HTTPException(503, str(error)) from error
    bot = asyncio.create_task(run_bot(transport))
    bots.add(bot)
    bot.add_done_callback(bots.discard)
    return session


async def run_bot(transport: LipstreamTransport) -> None:
    """Run one bot for one viewer, until the session ends."""
    context = LLMContext([{"role": "system", "content": PROMPT}])
    user, assistant = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    pipeline = Pipeline(
        [
            transport.input(),
            OpenAISTTService(),
            user,
            OpenAILLMService(),
            OpenAITTSService(),
            transport.output(),
            assistant,
        ]
    )
    worker = PipelineWorker(pipeline, params=PipelineParams(enable_metrics=True))

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport: object, session: object) -> None:
        context.add_message({"role": "system", "content": "Greet the viewer."})
        await worker.queue_frame(LLMRunFrame())

    @transport.event_handler("on_session_ended")
    async def on_session_ended(transport: object, session: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    workers.add(worker)
    try:
        await runner.run()
    finally:
        workers.discard(worker)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT)
