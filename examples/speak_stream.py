"""Pipe a speech service into an avatar while the speech is still being made.

    curl ... | python examples/speak_stream.py --session ID         # 24 kHz s16le on stdin
    python examples/speak_stream.py --session ID --text "Hello." --speech-url URL

The second form asks a service that speaks OpenAI's protocol (POST .../v1/audio/speech with
`response_format: pcm`); its key is read from OPENAI_API_KEY. The page shows the id of the session
it plays. Needs `pip install websockets`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import urllib.request
from collections.abc import AsyncIterator
from typing import BinaryIO
from urllib.parse import urljoin

from websockets.asyncio.client import ClientConnection, connect

RATE = 24_000  # Hz, s16le mono: what such services send as `pcm`
MAX_MESSAGE_BYTES = 32 * 1024


def open_speech(options: argparse.Namespace) -> BinaryIO:
    """The speech, which may still be growing."""
    if options.text is None:
        return sys.stdin.buffer
    body = {
        "model": options.model,
        "voice": options.voice,
        "input": options.text,
        "response_format": "pcm",
    }
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("OPENAI_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(options.speech_url, json.dumps(body).encode(), headers)
    response: BinaryIO = urllib.request.urlopen(request, timeout=60)
    return response


async def pieces(speech: BinaryIO) -> AsyncIterator[bytes]:
    """The bytes that have come so far, as soon as there are any; they may end within a sample."""
    read = getattr(speech, "read1", speech.read)
    while data := await asyncio.to_thread(read, MAX_MESSAGE_BYTES):
        yield data


async def print_events(socket: ClientConnection) -> None:
    """Print the events of the session until our utterance is over."""
    ours = None
    async for message in socket:
        event = json.loads(message)
        print(event, file=sys.stderr)
        if event["type"] == "queued":
            ours = event["utterance"]
        elif event["type"] in ("ended", "interrupted", "failed") and event.get("utterance") == ours:
            return


async def main(options: argparse.Namespace) -> None:
    path = f"v1/sessions/{options.session}/audio?sample_rate={RATE}"
    address = urljoin(options.server.rstrip("/") + "/", path).replace("http", "ws", 1)
    headers = {"Authorization": f"Bearer {options.token}"} if options.token else {}
    async with connect(address, additional_headers=headers) as socket:
        printing = asyncio.create_task(print_events(socket))
        with await asyncio.to_thread(open_speech, options) as speech:
            async for data in pieces(speech):
                await socket.send(data)  # waits while the server has enough
        await socket.send(json.dumps({"type": "end"}))
        await printing


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--session", required=True, help="the id of a session somebody watches")
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--token")
    parser.add_argument("--text", help="what to say; without it speech is read from stdin")
    parser.add_argument("--speech-url", default="https://api.openai.com/v1/audio/speech")
    parser.add_argument("--model", default="gpt-4o-mini-tts")
    parser.add_argument("--voice", default="alloy")
    asyncio.run(main(parser.parse_args()))
