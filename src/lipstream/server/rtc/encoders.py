"""Pictures and sound to RTP payloads: H.264, VP8 and Opus, set for a face that talks live.

aiortc's own encoders throw the codec away at each change of the bit rate, which costs a key frame
each time, and are several times as slow; these do neither. They are not thread-safe: one call at a
time. The settings, and what they cost, were measured; see `docs/design.md`.
"""

from __future__ import annotations

import functools
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from aiortc.codecs.base import Encoder as Packets
from aiortc.codecs.h264 import H264Encoder as H264Packets
from aiortc.codecs.vpx import Vp8Encoder as Vp8Packets
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from numpy.typing import NDArray

from lipstream.media.i420 import BT601, LIMITED, pad_to_even
from lipstream.media.image import I420, Image, Picture
from lipstream.timeline import FPS

VIDEO_CLOCK = 90_000  # Hz, of RTP timestamps
AUDIO_CLOCK = 48_000
VIDEO_TIME, AUDIO_TIME = Fraction(1, VIDEO_CLOCK), Fraction(1, AUDIO_CLOCK)
FRAME_TICKS = int(VIDEO_CLOCK / FPS)  # 3600
PACKET_SAMPLES = AUDIO_CLOCK // 50  # 20 ms: more in one call would give packets of equal time
MIN_BITRATE = 100_000
KEY_INTERVAL = 250  # frames; receivers that miss one ask, this is for those that cannot
MACROBLOCKS_31 = 3_600  # of the largest picture of H.264 level 3.1
VP8_CHANGE, VP8_PATIENCE = 0.3, 125  # share and frames: a VP8 encoder that is rebuilt costs a key
# The finest quantiser of H.264. Without it the encoder spends whatever it may on the grain of a
# picture that hardly moves: 1240 kb/s instead of 380 and a fifth more time, for 1 dB.
QMIN = 14
SPEECH_BITRATE = 40_000


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One picture, ready to be sent."""

    payloads: list[bytes]
    key: bool


class FrameConverter:
    """Pictures as the frames that codecs take. One that is shown again is kept."""

    def __init__(self) -> None:
        self._picture: Picture | None = None
        self._frame: VideoFrame | None = None  # of `_picture`
        self._planes = np.empty((0, 0), np.uint8)  # of `_own`: written again for each RGB picture
        self._own: VideoFrame | None = None

    def convert(self, picture: Picture, pts: int) -> VideoFrame:
        """uint8 `I420`, which are used as they are and not written to, or RGB `Image`, whose odd
        sides get their last row or column twice."""
        if self._frame is None or picture is not self._picture:
            self._frame = self._wrapped(picture) if picture.ndim == 2 else self._converted(picture)
            self._picture = picture
        self._frame.pts, self._frame.time_base = pts, VIDEO_TIME
        return self._frame

    def _converted(self, picture: Image) -> VideoFrame:
        picture = pad_to_even(picture)
        height, width = picture.shape[:2]
        # The codecs copy what they are given, so one set of planes serves for all pictures; fresh
        # ones cost more in page faults than the conversion itself.
        if self._own is None or self._planes.shape != (height * 3 // 2, width):
            self._planes = np.empty((height * 3 // 2, width), np.uint8)
            self._own = self._wrapped(self._planes)
        cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420, self._planes)
        return self._own

    def _wrapped(self, planes: I420) -> VideoFrame:
        frame = VideoFrame.from_numpy_buffer(planes, "yuv420p")
        frame.colorspace, frame.color_range = BT601.code, LIMITED
        return frame


class VideoEncoder(ABC):
    """The base of H.264 and VP8. `bitrate` may be set at any time, in bits per second."""

    def __init__(self, packets: Packets, ceiling: int) -> None:
        self.ceiling = ceiling
        self.bitrate = ceiling
        self._packets = packets  # only to cut what was encoded into payloads
        self._converter = FrameConverter()
        self._codec: VideoCodecContext | None = None

    def encode(self, picture: Picture, pts: int, *, key: bool = False) -> EncodedPicture:
        """`pts` counts 1/90000 s and must grow; `key` asks for a picture that needs no other."""
        frame = self._converter.convert(picture, pts)
        codec = self._codec
        if codec is None or (codec.width, codec.height) != (frame.width, frame.height):
            codec = self._codec = self._open(frame.width, frame.height)
        codec = self._adjusted(codec)
        # A frame keeps its type, so it is set each time.
        frame.pict_type = PictureType.I if key else PictureType.NONE
        packets = codec.encode(frame)
        payloads = [payload for packet in packets for payload in self._packets.pack(packet)[0]]
        return EncodedPicture(payloads, any(packet.is_keyframe for packet in packets))

    @abstractmethod
    def _open(self, width: int, height: int) -> VideoCodecContext:
        """A codec for pictures of this size."""

    @abstractmethod
    def _adjusted(self, codec: VideoCodecContext) -> VideoCodecContext:
        """The codec at `_target_bitrate`."""

    def _target_bitrate(self) -> int:
        return max(MIN_BITRATE, min(self.bitrate, self.ceiling))


class H264Encoder(VideoEncoder):
    """Constrained baseline by libx264, or by the GPU's own encoder."""

    def __init__(self, ceiling: int, *, hardware: bool = False) -> None:
        super().__init__(H264Packets(), ceiling)
        self._hardware = hardware

    def _open(self, width: int, height: int) -> VideoCodecContext:
        codec = _video_codec("h264_nvenc" if self._hardware else "libx264", width, height)
        codec.bit_rate = self._target_bitrate()
        # A buffer of a quarter second keeps key frames small: nothing paces them on the way out.
        options = {"maxrate": str(self.ceiling), "bufsize": str(self.ceiling // 4)}
        if self._hardware:
            options |= _NVENC
        else:
            codec.qmin = QMIN
            blocks = -(-width // 16) * -(-height // 16)
            options |= _X264 | {"level": "31" if blocks <= MACROBLOCKS_31 else "40"}
        codec.options = options
        codec.profile = "Baseline"
        codec.colorspace, codec.color_range = BT601.code, LIMITED
        codec.color_primaries = codec.color_trc = BT601.code
        codec.open()
        return codec

    def _adjusted(self, codec: VideoCodecContext) -> VideoCodecContext:
        if codec.bit_rate != self._target_bitrate():
            codec.bit_rate = self._target_bitrate()  # x264 and NVENC take it in place
        return codec


_X264 = {
    # With its quantiser adapted to the picture it shows as much as "superfast" in two thirds of the
    # time, for a quarter more bits (480 instead of 380 kb/s, both 37.7 dB).
    "preset": "ultrafast",
    "tune": "zerolatency",
    "forced-idr": "1",
    "x264-params": "scenecut=0:sliced-threads=0:aq-mode=1",
}
_NVENC = {
    "preset": "p2",
    "tune": "ull",
    "rc": "cbr",
    "zerolatency": "1",
    "delay": "0",
    "forced-idr": "1",
    "bf": "0",
}


class Vp8Encoder(VideoEncoder):
    """libvpx in its fastest live mode. Its bit rate cannot be changed in place: rebuilt, rarely.

    Viewers' estimates grow with what they get, so a quiet picture brings low ones that mean
    nothing. It is only rebuilt when it makes more than it may, or as much as it can.
    """

    def __init__(self, ceiling: int) -> None:
        super().__init__(Vp8Packets(), ceiling)
        self._age = self._rate = 0  # frames since it was built, and for which bit rate
        self._made = 0.0  # bits per second, of about the last second

    def _open(self, width: int, height: int) -> VideoCodecContext:
        codec = _video_codec("libvpx", width, height)
        rate = codec.bit_rate = self._rate = self._target_bitrate()
        codec.qmin, codec.qmax = 2, 56
        codec.options = {
            "deadline": "realtime",
            "cpu-used": "-12",
            "lag-in-frames": "0",
            "noise-sensitivity": "0",
            "static-thresh": "1",
            "minrate": str(rate),
            "maxrate": str(rate),
            "bufsize": str(rate // 2),
            "undershoot-pct": "100",
            "overshoot-pct": "15",
        }
        codec.open()
        self._age = 0
        return codec

    def encode(self, picture: Picture, pts: int, *, key: bool = False) -> EncodedPicture:
        encoded = super().encode(picture, pts, key=key)
        bits = 8 * sum(map(len, encoded.payloads)) * float(FPS)
        self._made += (bits - self._made) / float(FPS)
        return encoded

    def _adjusted(self, codec: VideoCodecContext) -> VideoCodecContext:
        self._age += 1
        target = self._target_bitrate()
        if self._age > VP8_PATIENCE and abs(target - self._rate) > VP8_CHANGE * self._rate:
            if self._made > (0.9 * target if target < self._rate else 0.8 * self._rate):
                codec = self._codec = self._open(codec.width, codec.height)
        return codec


class OpusEncoder:
    """Mono speech for any receiver: an Opus packet says whether it is mono, whatever was agreed."""

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", AUDIO_CLOCK
        codec.bit_rate, codec.time_base = SPEECH_BITRATE, AUDIO_TIME
        # "voip" could repeat each packet coarsely in the next one, but takes three times as long.
        # What is lost on the way the browser conceals.
        codec.options = {"application": "audio", "frame_duration": "20", "compression_level": "3"}
        codec.open()
        self._codec = codec
        self._samples = 0

    def encode(self, samples: NDArray[np.int16]) -> list[bytes]:
        """(n * 960,) int16 at 48 kHz to n packets of 20 ms."""
        packets: list[bytes] = []
        for part in samples.reshape(-1, 1, PACKET_SAMPLES):
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = AUDIO_CLOCK, self._samples, AUDIO_TIME
            self._samples += PACKET_SAMPLES
            packets += [bytes(packet) for packet in self._codec.encode(frame)]
        return packets


def open_video_encoder(codec: str, ceiling: int, *, hardware: bool) -> VideoEncoder:
    """An encoder for "H264" or "VP8" that never exceeds `ceiling` bits per second for long."""
    is_vp8 = codec.upper() == "VP8"
    return Vp8Encoder(ceiling) if is_vp8 else H264Encoder(ceiling, hardware=hardware)


@functools.cache
def nvenc_works() -> bool:
    """True where this machine's GPU encodes H.264. Data-centre GPUs such as H100 cannot."""
    if not os.path.exists("/dev/nvidiactl") and os.name != "nt":
        return False
    picture = np.zeros((256, 256, 3), np.uint8)
    try:
        encoder = H264Encoder(1_000_000, hardware=True)
        return any(encoder.encode(picture, turn * FRAME_TICKS).payloads for turn in range(3))
    except (av.FFmpegError, ValueError):
        return False


def _video_codec(name: str, width: int, height: int) -> VideoCodecContext:
    codec = av.CodecContext.create(name, "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.framerate, codec.time_base = FPS, VIDEO_TIME
    codec.gop_size, codec.thread_count = KEY_INTERVAL, 1
    return codec
