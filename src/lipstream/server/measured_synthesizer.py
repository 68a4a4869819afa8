"""The server's voice, with its waiting times and failures in the metrics."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from lipstream.errors import SynthesisError
from lipstream.live.clock import Clock
from lipstream.server.metrics import Metrics
from lipstream.speech.synthesis.base import SynthesizedSpeech, Synthesizer

FAULT = "fault"  # the cause of an error that no synthesizer should raise

log = logging.getLogger("lipstream.server")


class MeasuredSynthesizer(Synthesizer):
    """Another synthesizer, measured. What is said stays out of the log."""

    def __init__(self, synthesizer: Synthesizer, metrics: Metrics, clock: Clock) -> None:
        self._synthesizer, self._metrics, self._clock = synthesizer, metrics, clock

    @property
    def sample_rate(self) -> int:
        return self._synthesizer.sample_rate

    @property
    def voices(self) -> tuple[str, ...]:
        return self._synthesizer.voices

    def check(self, text: str, voice: str | None) -> None:
        self._synthesizer.check(text, voice)

    def warning(self, text: str) -> str | None:
        return self._synthesizer.warning(text)

    async def synthesize(
        self, text: str, voice: str | None = None
    ) -> AsyncGenerator[SynthesizedSpeech, None]:
        self._metrics.synthesis_texts.inc()
        began_ms, heard = self._clock.now_ms(), False
        try:
            async with aclosing(self._synthesizer.synthesize(text, voice)) as speech:
                async for part in speech:
                    if not heard and len(part.samples):
                        heard = True
                        waited_ms = self._clock.now_ms() - began_ms
                        self._metrics.synthesis_first_audio_ms.observe(waited_ms)
                    yield part
        except Exception as error:
            cause = error.cause if isinstance(error, SynthesisError) else FAULT
            self._metrics.synthesis_failures.labels(cause).inc()
            log.warning("a text could not be spoken", extra={"cause": cause})
            raise

    async def close(self) -> None:
        await self._synthesizer.close()
