"""A bot that is drawn in its own process: talk to it at http://localhost:7860/client.

    pip install /path/to/lipstream '/path/to/lipstream/packages/pipecat-lipstream[examples]'
    export OPENAI_API_KEY=... AVATAR=anna.png
    python local_bot.py

AVATAR is a picture, a clip, or a file made by `lipstream prepare`; without it anna.png.
OPENAI_BASE_URL leads to any other server with OpenAI's API for transcriptions, chat and speech.
"""

from __future__ import annotations

import os

from dotenv import load_dotenv
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.workers.runner import WorkerRunner

from pipecat_lipstream import LipstreamEngine, LipstreamVideoService

load_dotenv()

ENGINE = LipstreamEngine()  # one for all bots of the process
AVATAR = ENGINE.open_avatar(os.environ.get("AVATAR", "anna.png"))
PROMPT = "You are a friendly person in a video call. Answer in one or two short sentences."


async def bot(runner_args: RunnerArguments) -> None:
    """Run one bot for one viewer; Pipecat's runner calls it."""
    transport = await create_transport(
        runner_args, {"webrtc": lambda: AVATAR.transport_params(audio_in_enabled=True)}
    )
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
            LipstreamVideoService(avatar=AVATAR),
            transport.output(),
            assistant,
        ]
    )
    # OpenAI's speech has 24 kHz; the face gives it to the transport at 48 kHz.
    params = PipelineParams(enable_metrics=True, audio_out_sample_rate=24_000)
    worker = PipelineWorker(pipeline, params=params)

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport: object, client: object) -> None:
        context.add_message({"role": "system", "content": "Greet the viewer."})
        await worker.queue_frame(LLMRunFrame())

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport: object, client: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
