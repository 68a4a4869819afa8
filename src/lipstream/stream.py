"""Audio in, segments out: everything a stream of speech has to remember.

A segment is a piece of work that needs nothing but itself: any segment of any stream can be
rendered in any batch. Where a stream is cut depends on frame numbers only, so the same audio gives
the same segments however it was cut into chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from lipstream.audio import AudioChunk, Resampler
from lipstream.avatar.avatar import Avatar
from lipstream.errors import AudioError, OptionError
from lipstream.speech.encoder import SpeechEncoder
from lipstream.timeline import FPS, frame_count, frame_ms, frame_start

if TYPE_CHECKING:
    from lipstream.video import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Consecutive frames of one stream with all that is needed to render them."""

    avatar: Avatar
    first_frame: int  # on the avatar's timeline
    frame_count: int
    context: Floats  # what the speech encoder wants to know
    due: int  # when the first frame shall be shown, ms from the start of the timeline
    generation: int  # work of an older generation than its stream's is stale


class LipSyncStream:
    """One utterance. Push its audio as it comes, then `end`; both give the segments now complete.

    `first_frame` places the utterance on the avatar's timeline. Audio may come at any rate and with
    any number of channels, but the rate must not change. n samples at rate r give exactly
    floor(n / r * fps) frames, at least one if there is any audio.
    """

    def __init__(
        self,
        avatar: Avatar,
        encoder: SpeechEncoder,
        *,
        fps: Fraction = FPS,
        first_frame: int = 0,
        generation: int = 0,
    ) -> None:
        self.avatar = avatar
        self.fps = fps
        self.first_frame = first_frame
        self.generation = generation
        self._plan = encoder.plan
        self._ear = encoder.open(fps)
        self._resampler: Resampler | None = None
        self._received = 0  # samples at the rate they came
        self._waiting = np.zeros(0, np.float32)  # 16 kHz, not yet heard
        self._heard = 0  # samples at 16 kHz
        self._frames = 0  # cut so far
        self._ended = False

    @property
    def frames_cut(self) -> int:
        """Frames in all segments given out so far."""
        return self._frames

    def push(self, chunk: AudioChunk) -> list[Segment]:
        """Take the next piece of speech; give the segments whose look-ahead it completes.

        Raises AudioError when the sample rate differs from the first chunk's, OptionError after
        `end`.
        """
        if self._ended:
            raise OptionError("this stream has ended; open a new one for the next utterance.")
        if self._resampler is None:
            self._resampler = Resampler(chunk.sample_rate)
        elif self._resampler.sample_rate != chunk.sample_rate:
            raise AudioError(
                f"the sample rate changed from {self._resampler.sample_rate} to "
                f"{chunk.sample_rate} Hz within one stream; open a new stream for it."
            )
        self._received += len(chunk)
        self._append(self._resampler.push(chunk.mono()))
        return list(self._cut(self._whole_frames()))

    def end(self) -> list[Segment]:
        """No more audio: silence stands in for the missing look-ahead, the rest is cut."""
        if self._ended or self._resampler is None:
            self._ended = True
            return []
        self._ended = True
        self._append(self._resampler.flush())
        total = frame_count(self._received, self._resampler.sample_rate, self.fps)
        missing = self._reach(total) - self._heard - len(self._waiting)
        self._append(np.zeros(max(missing, 0), np.float32))
        return list(self._cut(total))

    def _whole_frames(self) -> int:
        """Frames that are due already and fill whole segments."""
        assert self._resampler is not None
        step, rate = self._plan.step, self._resampler.sample_rate
        lasted = self._received * self.fps.numerator // (rate * self.fps.denominator)
        return lasted - (lasted - self._frames) % step

    def _cut(self, until: int) -> Iterator[Segment]:
        """Segments up to frame `until`, as far as the sound reaches."""
        while self._frames < until:
            stop = min(self._frames + self._plan.step, until)
            take = self._reach(stop) - self._heard
            if take > len(self._waiting):
                return
            samples, self._waiting = self._waiting[:take], self._waiting[take:]
            frames = range(self._frames, stop)
            context = self._ear.hear(samples, frames)
            first = self.first_frame + frames.start
            self._heard += take
            self._frames = stop
            yield Segment(
                self.avatar,
                first,
                len(frames),
                context,
                frame_ms(first, self.fps),
                self.generation,
            )

    def _reach(self, stop: int) -> int:
        """Samples at 16 kHz that must be there to render the frames before `stop`."""
        return frame_start(stop, self.fps) + self._plan.future

    def _append(self, samples: Floats) -> None:
        if len(samples):
            self._waiting = np.concatenate([self._waiting, samples])
