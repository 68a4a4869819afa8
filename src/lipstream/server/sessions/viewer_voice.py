"""The voice of a session's viewer, for the programs that listen to it."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from lipstream.media.image import Floats
from lipstream.media.resampler import Resampler
from lipstream.server.errors import ApiError
from lipstream.server.rtc.microphone import MAX_BEHIND_S, RATE
from lipstream.server.schemas.sessions import ViewerState

MAX_READERS = 4  # programs that hear the viewer of one session
MAX_WAITING_S = MAX_BEHIND_S + 5  # of sound for one of them: all that may come at once, and more
SAMPLE_BYTES = 2


class VoiceReader:
    """The sound and the states of a viewer on their way to one program, in their order."""

    def __init__(
        self, sample_rate: int, on_news: Callable[[], None], leave: Callable[[], None]
    ) -> None:
        """`on_news` is called when something waits to be taken, `leave` when the session ends."""
        self.leave = leave
        self.overflown = False  # too much waited; nothing more is kept
        self._resampler = Resampler(RATE, sample_rate)
        self._room = round(MAX_WAITING_S * sample_rate) * SAMPLE_BYTES
        self._waiting: deque[bytes | ViewerState] = deque()
        self._on_news = on_news

    def hear(self, samples: Floats) -> None:
        """Take (n,) float32 at 48 kHz."""
        sound = self._resampler.push(samples)
        pcm = np.clip(np.rint(sound * 32768), -32768, 32767).astype("<i2").tobytes()
        if not pcm or self.overflown:  # a resampler collects some before it gives any
            return
        self._room -= len(pcm)
        self.overflown = self._room < 0
        self._put(pcm)

    def see(self, state: ViewerState) -> None:
        """Take a state of the viewer; there are few."""
        self._put(state)

    def take(self) -> bytes | ViewerState | None:
        """The next PCM, s16le at `sample_rate`, or the next state; None when nothing waits."""
        if not self._waiting:
            return None
        first = self._waiting.popleft()
        if isinstance(first, bytes):
            self._room += len(first)
        return first

    def _put(self, news: bytes | ViewerState) -> None:
        if not self.overflown:
            self._waiting.append(news)
        self._on_news()


class ViewerVoice:
    """The microphone of a session's viewer, over all its connections.

    The first program that reads it takes it over for the rest of the session: from then on the
    avatar does not repeat what the viewer says, also while no program reads.
    """

    def __init__(self, on_speech: Callable[[], None]) -> None:
        """`on_speech` is called while the viewer speaks to a program."""
        self.taken_over = False
        self._readers: list[VoiceReader] = []
        self._on_speech = on_speech

    def hear(self, samples: Floats, speech: bool) -> bool:
        """Take (n,) float32 at 48 kHz; `speech`: words are among them. True when it is for
        programs, and not for the avatar to speak."""
        for reader in self._readers:
            reader.hear(samples)
        if speech and self.taken_over:
            self._on_speech()
        return self.taken_over

    def see(self, state: ViewerState) -> None:
        """Tell all programs the viewer's state."""
        for reader in self._readers:
            reader.see(state)

    def close(self) -> None:
        """Let all programs go, as the session ends."""
        for reader in tuple(self._readers):
            reader.leave()

    @contextlib.contextmanager
    def reading(
        self, sample_rate: int, on_news: Callable[[], None], leave: Callable[[], None]
    ) -> Iterator[VoiceReader]:
        """Read it at `sample_rate` from now on. ApiError 429 when as many read as may."""
        if len(self._readers) >= MAX_READERS:
            raise ApiError(
                429, f"{MAX_READERS} sockets hear the viewer of this session; close one first."
            )
        reader = VoiceReader(sample_rate, on_news, leave)
        self.taken_over = True
        self._readers.append(reader)
        try:
            yield reader
        finally:
            self._readers.remove(reader)
