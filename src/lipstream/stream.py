"""Audio in, segments out: everything a stream of speech has to remember.

A segment is a piece of work that needs nothing but itself: any segment of any stream can be
rendered in any batch. Where a stream is cut depends on frame numbers only, so the same audio gives
the same segments however it was cut into chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.errors import AudioError, OptionError
from lipstream.media.audio import AudioChunk
from lipstream.media.image import Floats
from lipstream.media.resampler import Resampler
from lipstream.speech.base import Context, EncoderState, SpeechEncoder
from lipstream.speech.mono_mixer import MonoMixer
from lipstream.speech.quiet_speech import QuietSpeechGain
from lipstream.timeline import FPS, frame_count, frame_start


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

        Plan(past=0, step=2, future=960), 25 fps: 640 samples of 16 kHz per frame
        push(1600 samples) -> nothing            frames 0 and 1 need 2 * 640 + 960 = 2240
        push(1600 samples) -> [0, 1]             frames 2 and 3 need 3520
        end()              -> [2, 3], [4]        3200 samples last 5 frames; silence follows them
    """

    def __init__(
        self, avatar: Avatar, encoder: SpeechEncoder, *, fps: Fraction = FPS, first_frame: int = 0
    ) -> None:
        self.avatar = avatar
        self.fps = fps
        self.first_frame = first_frame
        self._plan = encoder.plan
        self._state = encoder.open(fps)
        self._resampler: Resampler | None = None
        self._mixer: MonoMixer | None = None
        self._gain = QuietSpeechGain()
        self._received = 0  # samples at the rate of the audio
        self._waiting = np.zeros(0, np.float32)  # 16 kHz, not yet given to the state
        self._consumed = 0  # samples at 16 kHz that the state has taken
        self._end: int | None = None  # samples at 16 kHz in all, once the stream has ended
        self._cut_frames = 0
        self._previewed = 0  # frames given out by `push_now`, ahead of those cut

    def push(self, chunk: AudioChunk) -> list[Segment]:
        """Take the next piece of speech; give the segments whose look-ahead it completes.

        Raises AudioError when the sample rate differs from the first chunk's, OptionError after
        `end`.
        """
        self._take(chunk)
        return list(self._cut(self._whole_frames()))

    def push_now(self, chunk: AudioChunk) -> list[Segment]:
        """Take the next piece and give at once exactly the frames that have become due with it.

        Nothing waits for look-ahead: silence stands in for what has not been spoken yet, as at the
        end of a clip. Use either this or `push` for a whole stream. Raises as `push` does.
        """
        self._take(chunk)
        segments = self._preview(self._received_frames())
        # The stream's own state advances with the true look-ahead; its segments come too late.
        list(self._cut(self._whole_frames()))
        return segments

    def end(self) -> list[Segment]:
        """No more audio: silence stands in for the missing look-ahead, the rest is cut."""
        if self._end is not None or self._resampler is None:
            self._end = self._end or 0
            return []
        total = frame_count(self._received, self._resampler.sample_rate, self.fps)
        if self._previewed > self._cut_frames:
            segments = self._preview(total)
            self._end = self._consumed + len(self._waiting)
            return segments
        self._append(self._gain.apply(self._resampler.flush()))
        self._end = self._consumed + len(self._waiting)
        self._append(np.zeros(max(self._needed(total) - self._end, 0), np.float32))
        return list(self._cut(total))

    def _take(self, chunk: AudioChunk) -> None:
        if self._end is not None:
            raise OptionError("this stream has ended; open a new one for the next utterance.")
        if self._resampler is None or self._mixer is None:
            self._resampler = Resampler(chunk.sample_rate)
            self._mixer = MonoMixer(chunk.sample_rate)
        elif self._resampler.sample_rate != chunk.sample_rate:
            raise AudioError(
                f"the sample rate changed from {self._resampler.sample_rate} to "
                f"{chunk.sample_rate} Hz within one stream; open a new stream for it."
            )
        self._received += len(chunk)
        self._append(self._gain.apply(self._resampler.push(self._mixer.mix(chunk))))

    def _received_frames(self) -> int:
        """Frames whose whole time has been received."""
        assert self._resampler is not None
        rate = self._resampler.sample_rate
        return self._received * self.fps.numerator // (rate * self.fps.denominator)

    def _whole_frames(self) -> int:
        """Frames received that fill whole segments."""
        received = self._received_frames()
        return received - (received - self._cut_frames) % self._plan.step

    def _cut(self, until: int) -> Iterator[Segment]:
        """Segments up to frame `until`, as far as the sound reaches."""
        while self._cut_frames < until:
            stop = min(self._cut_frames + self._plan.step, until)
            count = self._needed(stop) - self._consumed
            if count > len(self._waiting):
                return
            samples, self._waiting = self._waiting[:count], self._waiting[count:]
            frames = range(self._cut_frames, stop)
            self._consumed += count
            self._cut_frames = stop
            yield self._segment(self._state, samples, frames, self._end)

    def _preview(self, until: int) -> list[Segment]:
        """The frames not given out yet before frame `until`, with silence for missing sound."""
        first = max(self._previewed, self._cut_frames)
        if until <= first:
            return []
        assert self._resampler is not None
        ahead = self._gain.fork().apply(self._resampler.peek())
        known = np.concatenate([self._waiting, ahead])
        end = self._consumed + len(known)
        sound = np.pad(known, (0, max(self._needed(until) - end, 0)))
        state, consumed = self._state.fork(), self._consumed
        if first > self._cut_frames:  # given out before, but the fork has to pass them
            count = self._needed(first) - consumed
            state.advance(sound[:count], range(self._cut_frames, first), end)
            sound, consumed = sound[count:], consumed + count
        self._previewed = until
        samples = sound[: self._needed(until) - consumed]
        return [self._segment(state, samples, range(first, until), end)]

    def _segment(
        self, state: EncoderState, samples: Floats, frames: range, end: int | None
    ) -> Segment:
        context = state.advance(samples, frames, end)
        return Segment(self.avatar, self.first_frame + frames.start, len(frames), context)

    def _needed(self, stop: int) -> int:
        """Samples at 16 kHz that are needed to render the frames before `stop`."""
        return frame_start(stop, self.fps) + self._plan.future

    def _append(self, samples: Floats) -> None:
        if len(samples):
            self._waiting = np.concatenate([self._waiting, samples])
