"""The original interface from end to end: a file offline, then the same speech live.

python examples/original.py examples/portrait_closed.png examples/speech.wav talk.mp4 [MODELS]
"""

import asyncio
import itertools
import sys
import wave

import numpy as np

from lipstream import FrameBuffer, MuseTalkInference, RealtimeLipSyncEngine

face, speech, out, models = [*sys.argv[1:], None][:4]  # without MODELS the puppet draws
with wave.open(speech) as file:
    rate, audio = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
version = [f"{models}/musetalkV15/{name}" for name in ("musetalk.json", "unet.pth")]

inference = MuseTalkInference(*(version if models else []), device="cpu")
avatar = inference.preprocess_avatar(face)
frames = inference.generate(avatar, audio, rate)
inference.save_video(frames, out, fps=25, audio=audio, sample_rate=rate)
print(f"{out}: {len(frames)} frames; latents", avatar["face_latent"].shape)

engine = RealtimeLipSyncEngine(models, device="cpu", buffer_size=4)


async def draw(buffer: FrameBuffer, queue: asyncio.Queue) -> None:
    times = itertools.count(0, 40)
    async for frame in engine.stream_lipsync(face, queue, rate):
        await buffer.add_frame(frame, timestamp_ms=next(times))
    await buffer.end()


async def live() -> None:
    buffer, queue = FrameBuffer(target_fps=25, buffer_ms=200), asyncio.Queue()
    for start in range(0, len(audio), rate // 10):  # chunks of 100 ms
        queue.put_nowait(audio[start : start + rate // 10])
    queue.put_nowait(None)  # the end of the speech
    drawing = asyncio.create_task(draw(buffer, queue))
    shown = [frame async for frame in buffer.smooth_playback()]  # one every 40 ms
    await drawing
    print(f"live: {len(shown)} frames")


asyncio.run(live())
