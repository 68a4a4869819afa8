"""The time from a text to its first sound: `say`, the embedded voice, a live session of the puppet.

    python -m benchmarks.cpu.said [--texts N] [--out FILE]

Each text is said when the one before it was heard, with a pause in between, as somebody types.
`first_audio` is the time to the first synthesized samples, `started` that to the first unit with
sound; the bound of the median of `started` is 400 ms on an idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import lipstream
from benchmarks.machine import describe, stolen_s
from lipstream.speech.synthesis.base import SynthesizedSpeech, Synthesizer

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "examples" / "portrait.png"
PAUSE_S = 1.0
SENTENCES = (
    "Hello there.",
    "Good morning! How are you today?",
    "I am a talking portrait, made from one photograph. Ask me anything.",
    "The first sentence of this text is a little longer than most, as some people write so. Then "
    "comes another one.",
)


class TimedSynthesizer(Synthesizer):
    """A voice, with the time of its first samples."""

    def __init__(self, voice: Synthesizer) -> None:
        self.voice = voice
        self.first = 0.0  # seconds of `time.perf_counter`

    @property
    def sample_rate(self) -> int:
        return self.voice.sample_rate

    def check(self, text: str, voice: str | None) -> None:
        self.voice.check(text, voice)

    def warning(self, text: str) -> str | None:
        return self.voice.warning(text)

    @property
    def voices(self) -> tuple[str, ...]:
        return self.voice.voices

    async def synthesize(
        self, text: str, voice: str | None = None
    ) -> AsyncGenerator[SynthesizedSpeech, None]:
        self.first = 0.0
        async with aclosing(self.voice.synthesize(text, voice)) as speech:
            async for part in speech:
                self.first = self.first or time.perf_counter()
                yield part

    async def close(self) -> None:
        await self.voice.close()


async def measure(texts: int) -> tuple[list[float], list[float], int]:
    """Milliseconds to the first samples and to the first unit, and how often speech had to wait."""
    voice = lipstream.open_synthesizer("hibari")
    assert voice is not None
    timed, ended = TimedSynthesizer(voice), asyncio.Event()
    first_audio, started, began = [], [], 0.0

    def on_event(event: lipstream.SessionEvent) -> None:
        if event.kind == "started":
            started.append(1000 * (time.perf_counter() - began))
            first_audio.append(1000 * (timed.first - began))
        if event.kind in ("ended", "failed"):
            ended.set()

    with (
        lipstream.open_engine("puppet", processes=1) as engine,
        lipstream.Scheduler(engine) as scheduler,
        lipstream.Session(engine.prepare(lipstream.open_avatar(PORTRAIT)), scheduler) as session,
    ):
        session.add_listener(on_event)

        async def look() -> None:
            async for _ in session.units():
                pass

        looking = asyncio.create_task(look())
        for number in range(-1, texts):  # the first one warms up
            await asyncio.sleep(PAUSE_S)
            ended.clear()
            began = time.perf_counter()
            session.say(SENTENCES[number % len(SENTENCES)], timed)
            await ended.wait()
        session.close()
        await looking
    await timed.close()
    return first_audio[1:], started[1:], session.counts.underruns


def summary(values: list[float]) -> dict[str, int]:
    ordered = sorted(values)
    return {
        "median_ms": round(statistics.median(ordered)),
        "p95_ms": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]),
        "worst_ms": round(ordered[-1]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    load, before, began = os.getloadavg()[0], stolen_s(), time.monotonic()
    first_audio, started, underruns = asyncio.run(measure(options.texts))
    cores = os.cpu_count() or 1
    report = {
        "texts": options.texts,
        "first_audio": summary(first_audio),
        "started": summary(started),
        "underruns": underruns,
        "load_before": round(load, 1),
        "stolen": round((stolen_s() - before) / (time.monotonic() - began) / cores, 3),
        "machine": describe(),
    }
    print(json.dumps(report, indent=1))
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
