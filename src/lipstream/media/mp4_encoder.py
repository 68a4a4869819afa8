"""H.264 and AAC into the bytes of an mp4."""

from __future__ import annotations

import contextlib
import io
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipstream.config import Mp4Config
from lipstream.errors import MissingError, OutputError
from lipstream.installation import pip_install
from lipstream.media.audio import AudioChunk
from lipstream.media.i420 import BT709, LIMITED, ColourMatrix
from lipstream.media.image import I420, Floats
from lipstream.media.output_path import new_file

TITLE = "AI-generated video"
COMMENT = "AI-generated video: the lip movements were synthesised from speech by lipstream."

# Every AAC player plays these. Other rates are brought to the next one up, at most to 48 kHz.
AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
# What is switched off at a preset of x264, as a talking face does not gain from it: measured by
# benchmarks/cpu/encoder_options.py.
SWITCHED_OFF = {"veryfast": "me=dia:subme=1:b-adapt=0"}
# The same for a still picture with one moving part, which x264 need not look as far ahead at: more
# detail by 2 of crf makes up for that. Recorded clips got a tenth larger by it.
STILL, STILL_CRF = {"veryfast": f"{SWITCHED_OFF['veryfast']}:rc-lookahead=6:bframes=4"}, -2
ONE_THREAD_PIXELS = 640 * 640  # of the largest picture that one thread encodes
# A movie in fragments, each from a key frame on, which becomes an ordinary one when it is finished;
# its head waits for the first of them, to tell by how much AAC begins before its first sample.
RECOVERABLE = "hybrid_fragmented+frag_keyframe+delay_moov"
LIVE_KEY_S = 5  # between key frames of a live movie


class Mp4Encoder:
    """Encodes I420 planes and sound into an open file. Not thread-safe."""

    def __init__(
        self,
        file: PartFile,
        size: tuple[int, int],
        fps: Fraction,
        audio: tuple[int, int] | None,
        config: Mp4Config,
        *,
        matrix: ColourMatrix = BT709,
        still: bool = False,
        live: bool = False,
    ) -> None:
        """`matrix` is that of the planes; `still` tells that little of the picture moves. A `live`
        movie, which may take hours and be cut off, is encoded by one thread and can be played up to
        its last key frame before it is finished."""
        # Edit lists count in the movie's time scale: milliseconds would round the last sample off.
        rate = aac_rate(audio[0]) if audio else 0
        options = {
            "movflags": RECOVERABLE if live else "+faststart",
            "movie_timescale": str(rate or fps.numerator),
        }
        self._file, self._matrix, self._live = file, matrix, live
        self._container = av.open(file, "w", format="mp4", options=options)
        self._container.metadata.update(title=TITLE, comment=COMMENT)
        self._video = self._video_stream(size, fps, config, still)
        self._audio = self._audio_stream(rate, audio[1], config) if audio else None
        self._resampler = None
        if audio and audio[0] != rate:
            self._resampler = soxr.ResampleStream(audio[0], rate, audio[1], quality="HQ")
        self._frames = self._samples = 0

    def _video_stream(
        self, size: tuple[int, int], fps: Fraction, config: Mp4Config, still: bool
    ) -> VideoStream:
        crf, table = config.crf, SWITCHED_OFF
        if still and config.preset in STILL:
            crf, table = max(crf + STILL_CRF, 0), STILL
        options = {"crf": str(crf), "preset": config.preset}
        if config.preset in table:
            options["x264-params"] = table[config.preset]
        try:
            stream = self._container.add_stream("libx264", rate=fps, options=options)
        except ValueError as error:  # PyAV's UnknownCodecError: built without the encoder
            raise MissingError(
                "this PyAV has no H.264 encoder (libx264); install its wheel with "
                f"`{pip_install('--force-reinstall', '--only-binary', 'av', 'av')}`."
            ) from error
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = (side + side % 2 for side in size)
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / fps
        # Small pictures are encoded as fast by one thread, which leaves a core to draw the next.
        context.thread_count = 1 if self._live or size[0] * size[1] <= ONE_THREAD_PIXELS else 0
        if self._live:
            context.gop_size = round(LIVE_KEY_S * fps)
        context.color_primaries = context.color_trc = context.colorspace = self._matrix.code
        context.color_range = LIMITED
        return stream

    def _audio_stream(self, rate: int, channels: int, config: Mp4Config) -> AudioStream:
        # The fast coder takes half the time, and at this bit rate it is also the more exact one.
        stream = self._container.add_stream("aac", rate=rate, options={"aac_coder": "fast"})
        assert isinstance(stream, AudioStream)
        stream.layout = "mono" if channels == 1 else "stereo"
        stream.bit_rate = config.audio_bitrate
        stream.codec_context.time_base = Fraction(1, rate)
        return stream

    def write(self, item: I420 | AudioChunk) -> None:
        """Append a picture, or sound of the rate and channels given to the constructor."""
        if not isinstance(item, AudioChunk):
            self._write_frame(item)
        elif self._resampler is None:
            self._write_audio(item.samples)
        else:
            self._write_audio(self._resampler.resample_chunk(np.ascontiguousarray(item.samples)))

    def _write_frame(self, picture: I420) -> None:
        # Borrowed, not copied; FFmpeg refuses that for chroma of a single row.
        wrap = VideoFrame.from_numpy_buffer if len(picture) > 3 else VideoFrame.from_ndarray
        frame = wrap(picture, "yuv420p")
        frame.colorspace, frame.color_range = self._matrix.code, LIMITED
        frame.pts, frame.time_base = self._frames, self._video.codec_context.time_base
        self._frames += 1
        self._container.mux(self._video.encode(frame))

    def _write_audio(self, samples: Floats) -> None:
        assert self._audio is not None
        if not len(samples):
            return
        planes = np.ascontiguousarray(samples.T)
        frame = AudioFrame.from_ndarray(planes, format="fltp", layout=self._audio.layout.name)
        frame.sample_rate = self._audio.sample_rate
        frame.pts, frame.time_base = self._samples, Fraction(1, frame.sample_rate)
        self._samples += len(samples)
        self._container.mux(self._audio.encode(frame))

    def finish(self) -> None:
        """Encode what is still inside and write the index."""
        if not self._frames:
            raise OutputError("no frame was written, as the audio was empty; choose another file.")
        if self._audio is not None:
            if self._resampler is not None:
                channels = self._audio.codec_context.channels
                nothing = np.zeros((0, channels), np.float32)
                self._write_audio(self._resampler.resample_chunk(nothing, last=True))
            self._container.mux(self._audio.encode(None))
        self._container.mux(self._video.encode(None))
        self._container.close()
        # Wait for the disk, so that the name never points at a file a power cut could empty.
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file. Before `finish` it is unusable, and the error is known."""
        self._file.close()
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()


class PartFile(io.FileIO):
    """The unfinished file, ours and not FFmpeg's, so that it is always closed."""

    def __init__(self, path: Path, *, private: bool = False) -> None:
        """Make the file, which must not be there. Nobody else may read a `private` one."""
        super().__init__(path, "x", opener=new_file(private=private))

    def write(self, data: Any, /) -> int:
        """All of `data`: FFmpeg would take a short write, as on a full disk, for a whole one."""
        view = memoryview(data)
        done = 0
        while done < len(view):
            done += super().write(view[done:])
        return done


def aac_rate(sample_rate: int) -> int:
    """The rate the sound of a movie is stored in."""
    return next((rate for rate in AAC_RATES if rate >= sample_rate), AAC_RATES[-1])
