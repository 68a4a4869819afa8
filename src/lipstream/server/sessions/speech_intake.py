"""The texts and files that a session is asked to speak."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from lipstream.errors import BufferFullError, OptionError
from lipstream.live.clock import Clock
from lipstream.live.session.session import Session
from lipstream.live.session.utterance import Utterance
from lipstream.server.errors import ENDED, ApiError
from lipstream.server.token_bucket import TokenBucket
from lipstream.speech.synthesis.base import Synthesizer

MAX_UPLOADS = 4  # files of one session that are received, decoded, or pushed
TEXTS_PER_S, MAX_TEXTS = 2, 10  # that one session says in the long run, and at once
RETRY_S = "5"
NO_VOICE = (
    "this server has no voice; install the extra `tts`, or start it with --tts and the address of "
    "a provider of speech."
)

log = logging.getLogger("lipstream.server")


class SpeechIntake:
    """Takes as many of them as one session may have. Used on the event loop only."""

    def __init__(
        self, live: Session, clock: Clock, short_id: str, on_request: Callable[[], None]
    ) -> None:
        """`short_id` is what logs call the session; `on_request` is called when it is asked."""
        self._live, self._short_id, self._on_request = live, short_id, on_request
        self._uploads = 0
        # An interrupt makes room for the next text, and each may cost a request to a provider.
        self._texts = TokenBucket(TEXTS_PER_S, MAX_TEXTS, lambda: clock.now_ms() / 1000)
        self._tasks: set[asyncio.Task[None]] = set()  # that push uploads

    @property
    def busy(self) -> bool:
        """True while something is uploaded or synthesized."""
        return self._uploads > 0 or self._live.synthesizing

    def say(self, text: str, synthesizer: Synthesizer | None, voice: str | None) -> Utterance:
        """Say `text` behind all other speech. ApiError 501 without a synthesizer, 422 for what it
        can't say, 429 when too many texts wait or come, 404 when the session has ended."""
        self._on_request()
        if synthesizer is None:
            raise ApiError(501, NO_VOICE, "no_voice")
        if self._live.closed:
            raise ApiError(404, ENDED)
        if not self._texts.take():
            raise _too_many("too many texts come")
        try:
            return self._live.say(text, synthesizer, voice)
        except BufferFullError as error:
            raise _too_many(str(error).partition(";")[0]) from error
        except OptionError as error:
            raise ApiError(422, str(error)) from error

    @contextlib.contextmanager
    def open_upload(self, sample_rate: int) -> Iterator[Utterance]:
        """Open an utterance for a file that is on its way; an error cancels it. ApiError 429 when
        too many are on their way, 404 when the session has ended."""
        self._on_request()
        if self._uploads >= MAX_UPLOADS:
            raise _too_many(f"{MAX_UPLOADS} files wait to be spoken already")
        try:
            utterance = self._live.open_utterance(sample_rate)
        except BufferFullError as error:
            raise _too_many("too many utterances wait to be spoken already") from error
        except OptionError as error:
            raise ApiError(404, ENDED) from error
        self._uploads += 1
        try:
            yield utterance
        except BaseException:
            utterance.cancel()
            raise
        finally:
            self._uploads -= 1

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the background, at most until the session ends; an error is logged. What
        it waits for must return when its utterance is cancelled."""
        task = asyncio.create_task(work, name=f"speech of {self._short_id}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def wait_ended(self) -> None:
        """Wait until nothing runs any more, once the session is closed."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            fields = {"session": self._short_id}
            log.error("a file could not be spoken: %s", error, exc_info=error, extra=fields)


def _too_many(reason: str) -> ApiError:
    return ApiError(429, f"{reason}; send the next one later.", headers={"Retry-After": RETRY_S})
