"""The sound of an audio or video file, as a stream of chunks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.codec.context import Flags2

from lipstream.config import PcmFormat
from lipstream.errors import AudioError
from lipstream.media.audio import AudioChunk
from lipstream.media.demux import MOV, MediaFile, open_media
from lipstream.media.image import Floats
from lipstream.media.pcm_reader import is_raw, needs_format, open_pcm

CHUNKS_PER_SECOND = 4
MIN_GAP = Fraction(1, 10)  # seconds without sound inside a file that are filled with silence
MAX_GAP = 3600  # seconds; a larger jump is a wrong clock, not a pause
MAX_MISSING = Fraction(1, 4)  # seconds a sound track may lack of what its header promises
SIZED_FORMATS = ("wav", "w64", "aiff", "au", "caf", "flac")  # without gaps, of a known length

# FFmpeg's decoder skips two frames of these, 24 to 93 ms, of which its encoder delays by one only:
# then the second is sound. Where another encoder delays by two, a frame of silence is kept.
WMA = ("wmav1", "wmav2")

HALF_POWER = 0.5**0.5
# The shares of a loudspeaker on the left and right (ITU-R BS.775); others give half to each.
SPEAKERS = {
    "FL": (1.0, 0.0),
    "FR": (0.0, 1.0),
    "FC": (HALF_POWER, HALF_POWER),
    "LFE": (0.0, 0.0),
    "BL": (HALF_POWER, 0.0),
    "BR": (0.0, HALF_POWER),
    "SL": (HALF_POWER, 0.0),
    "SR": (0.0, HALF_POWER),
}


@contextlib.contextmanager
def open_audio(path: str | Path, pcm: PcmFormat | None = None) -> Iterator[AudioFile]:
    """The sound of an audio or video file at its own rate, in one or two channels.

    `pcm` says what a file of raw samples holds. Raises AudioError when the file is missing, is no
    media file, has no sound, or is cut short.
    """
    with _opened(Path(path), pcm) as media:
        stream = next(iter(media.container.streams.audio), None)
        if stream is None:
            raise media.refusal("has no sound track; choose a file with sound")
        yield AudioFile(media, stream)


@contextlib.contextmanager
def _opened(path: Path, pcm: PcmFormat | None) -> Iterator[MediaFile]:
    if pcm is None and is_raw(path):
        raise needs_format(path)
    with contextlib.ExitStack() as stack:
        try:
            opening = open_media(path, AudioError) if pcm is None else open_pcm(path, pcm)
            media = stack.enter_context(opening)
        except AudioError as error:
            if path.suffix or not isinstance(error.__cause__, av.FFmpegError):
                raise
            raise needs_format(path) from error
        yield media


class AudioFile:
    """The sound track of an open file; iterating it, once, decodes it.

    Sample 0 is where the sound starts: an encoder's delay and padding are gone, and pauses in the
    time stamps are filled with silence. Damage on the way ends the iteration with AudioError.
    """

    def __init__(self, media: MediaFile, stream: AudioStream) -> None:
        if stream.codec_context is None:
            raise media.refusal("has sound of an unknown codec; export it as wav or m4a")
        self._media, self._format = media, media.container.format.name
        self._frames = media.decode(stream)
        if stream.codec_context.name in WMA:
            stream.codec_context.flags2 |= Flags2.skip_manual
            next(self._frames, None)
        self._first: AudioFrame | None = next(self._frames, None)
        if self._first is None:
            raise media.refusal("holds no sound at all; choose another file")
        # Only a decoded frame knows: HE-AAC doubles the rate its header names.
        self.sample_rate = self._first.sample_rate
        self.channels = min(self._first.layout.nb_channels, 2)
        ticks, unit = stream.duration, stream.time_base
        self._promised = ticks * unit if ticks and unit else None
        seconds = self._promised or Fraction(media.container.duration or 0, av.time_base)
        self.duration_hint = float(seconds) or None  # seconds, by the header; for progress only

    def __iter__(self) -> Iterator[AudioChunk]:
        """Chunks of about a quarter of a second; none is empty."""
        waiting: list[Floats] = []
        length = total = 0
        for samples in self._samples():
            waiting.append(samples)
            length += len(samples)
            if length * CHUNKS_PER_SECOND >= self.sample_rate:
                yield AudioChunk(np.concatenate(waiting), self.sample_rate)
                waiting, total, length = [], total + length, 0
        if length:
            yield AudioChunk(np.concatenate(waiting), self.sample_rate)
        self._check_length(total + length)

    def _samples(self) -> Iterator[Floats]:
        """(n, channels) of each frame, and silence where the time stamps leave a gap."""
        if self._first is None:
            raise RuntimeError("an AudioFile can be read only once; open it again")
        first, self._first = self._first, None
        end: Fraction | None = None
        for frame in chain([first], self._frames):
            if frame.sample_rate != self.sample_rate:
                raise self._media.refusal(
                    f"changes its sample rate from {self.sample_rate} to {frame.sample_rate} Hz "
                    "on the way; export it again at one rate"
                )
            start = None
            if frame.pts is not None and frame.time_base is not None:
                start = frame.pts * frame.time_base
                if end is not None and self._format not in SIZED_FORMATS:
                    yield from self._silence(start - end)
            yield self._converted(frame)
            end = None if start is None else start + Fraction(frame.samples, frame.sample_rate)

    def _silence(self, seconds: Fraction) -> Iterator[Floats]:
        if not MIN_GAP < seconds < MAX_GAP:
            return
        left = round(seconds * self.sample_rate)
        while left > 0:
            length = min(left, self.sample_rate // CHUNKS_PER_SECOND)
            yield np.zeros((length, self.channels), np.float32)
            left -= length

    def _converted(self, frame: AudioFrame) -> Floats:
        pcm = frame.to_ndarray()
        pcm = pcm.T if frame.format.is_planar else pcm.reshape(-1, frame.layout.nb_channels)
        # The last frame of an mp4 is filled up by the encoder; its duration says how much counts.
        duration = getattr(frame, "duration", 0)
        if duration and frame.time_base == Fraction(1, frame.sample_rate):
            pcm = pcm[:duration]
        try:
            samples = AudioChunk(pcm, self.sample_rate).samples
        except AudioError as error:
            raise AudioError(f"{self._media.path}: {error}") from error
        return _downmixed(samples, frame.layout, self.channels)

    def _check_length(self, samples: int) -> None:
        """A header that promises more sound than was decoded belongs to half a file."""
        if self._promised is None or self._format not in (*SIZED_FORMATS, MOV):
            return
        found = Fraction(samples, self.sample_rate)
        if found < self._promised - MAX_MISSING:
            raise self._media.refusal(
                f"is cut short: it promises {float(self._promised):.1f} s of sound but holds "
                f"{float(found):.1f} s; copy or export it again"
            )


def _downmixed(samples: Floats, layout: AudioLayout, channels: int) -> Floats:
    """(n, any) -> (n, channels): surround folded to stereo, mono doubled, never over full scale."""
    if samples.shape[1] == channels:
        return samples
    if channels == 1:
        return np.asarray(samples.mean(axis=1, keepdims=True), np.float32)
    if samples.shape[1] == 1:
        return np.repeat(samples, channels, axis=1)
    names = [speaker.name for speaker in layout.channels]
    if "FL" not in names and len(names) in (6, 8):  # a header without places: 5.1 and 7.1 in order
        names = list(SPEAKERS)[: len(names)]
    shares = [SPEAKERS.get(name, (0.5, 0.5)) for name in names]
    matrix = np.array(shares, np.float32)
    stereo: Floats = samples @ (matrix / max(1.0, float(matrix.sum(axis=0).max())))
    return stereo
