"""Audio in, segments out: everything a stream of speech has to remember.

A segment is a piece of work that needs nothing but itself: any segment of any stream can be
rendered in any batch. Where a stream is cut depends on frame numbers only, so the same audio gives
the same segments however it was cut into chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.errors import AudioError, OptionError
from lipstream.media.audio import AudioChunk
from lipstream.media.resampler import Resampler
from lipstream.speech.base import Context, EncoderState, SpeechEncoder
from lipstream.timeline import FPS, frame_count, frame_start

if TYPE_CHECKING:
    from lipstream.media.image import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Consecutive frames of one stream with all that is needed to render them."""

    avatar: Avatar = field(repr=False)
    first_frame: int  # on the avatar's timeline
    frame_count: int
    context: Context = field(repr=False)  # for `SpeechEncoder.encode`


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
    ) -> None:
        self.avatar = avatar
        self.fps = fps
        self.first_frame = first_frame
        self._plan = encoder.plan
        self._state = encoder.open(fps)
        self._resampler: Resampler | None = None
        self._received = 0  # samples at the rate they came
        self._waiting = np.zeros(0, np.float32)  # 16 kHz, not yet heard
        self._heard = 0  # samples at 16 kHz
        self._end: int | None = None  # samples at 16 kHz in all, once the stream has ended
        self._frames = 0  # cut so far
        self._shown = 0  # given out so far: ahead of those cut when `push_now` is used

    @property
    def frames_out(self) -> int:
        """Frames in all segments given out so far."""
        return self._shown

    def push(self, chunk: AudioChunk) -> list[Segment]:
        """Take the next piece of speech; give the segments whose look-ahead it completes.

        Raises AudioError when the sample rate differs from the first chunk's, OptionError after
        `end`.
        """
        self._take(chunk)
        segments = list(self._cut(self._whole_frames()))
        self._shown = self._frames
        return segments

    def push_now(self, chunk: AudioChunk) -> list[Segment]:
        """Take the next piece and give at once exactly the frames that have become due with it.

        Nothing waits for look-ahead: silence stands in for what has not been said yet, as at the
        end of a clip. Use either this or `push` for a whole stream. Raises as `push` does.
        """
        self._take(chunk)
        segments = self._preview(self._lasted())
        # The stream's own state advances with true look-ahead; its segments come too late.
        for _ in self._cut(self._whole_frames()):
            pass
        return segments

    def end(self) -> list[Segment]:
        """No more audio: silence stands in for the missing look-ahead, the rest is cut."""
        if self._end is not None or self._resampler is None:
            self._end = self._end or 0
            return []
        total = frame_count(self._received, self._resampler.sample_rate, self.fps)
        if self._shown > self._frames:
            segments = self._preview(total)
            self._end = self._heard + len(self._waiting)
            return segments
        self._append(self._resampler.flush())
        self._end = self._heard + len(self._waiting)
        self._append(np.zeros(max(self._reach(total) - self._end, 0), np.float32))
        segments = list(self._cut(total))
        self._shown = total
        return segments

    def _take(self, chunk: AudioChunk) -> None:
        if self._end is not None:
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

    def _lasted(self) -> int:
        """Frames whose whole time has been received."""
        assert self._resampler is not None
        rate = self._resampler.sample_rate
        return self._received * self.fps.numerator // (rate * self.fps.denominator)

    def _whole_frames(self) -> int:
        """Frames received that fill whole segments."""
        lasted = self._lasted()
        return lasted - (lasted - self._frames) % self._plan.step

    def _cut(self, until: int) -> Iterator[Segment]:
        """Segments up to frame `until`, as far as the sound reaches."""
        while self._frames < until:
            stop = min(self._frames + self._plan.step, until)
            take = self._reach(stop) - self._heard
            if take > len(self._waiting):
                return
            samples, self._waiting = self._waiting[:take], self._waiting[take:]
            frames = range(self._frames, stop)
            self._heard += take
            self._frames = stop
            yield self._segment(self._state, samples, frames, self._end)

    def _preview(self, until: int) -> list[Segment]:
        """What has not been shown before frame `until`, with silence for what is not there yet."""
        if until <= self._shown:
            return []
        assert self._resampler is not None
        known = np.concatenate([self._waiting, self._resampler.peek()])
        end = self._heard + len(known)
        sound = np.pad(known, (0, max(self._reach(until) - end, 0)))
        state, heard = self._state.fork(), self._heard
        if self._shown > self._frames:
            again = self._reach(self._shown) - heard
            state.advance(sound[:again], range(self._frames, self._shown), end)
            sound, heard = sound[again:], heard + again
        frames = range(self._shown, until)
        self._shown = until
        return [self._segment(state, sound[: self._reach(until) - heard], frames, end)]

    def _segment(
        self, state: EncoderState, samples: Floats, frames: range, end: int | None
    ) -> Segment:
        context = state.advance(samples, frames, end)
        first = self.first_frame + frames.start
        return Segment(self.avatar, first, len(frames), context)

    def _reach(self, stop: int) -> int:
        """Samples at 16 kHz that must be there to render the frames before `stop`."""
        return frame_start(stop, self.fps) + self._plan.future

    def _append(self, samples: Floats) -> None:
        if len(samples):
            self._waiting = np.concatenate([self._waiting, samples])
