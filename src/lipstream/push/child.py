"""The process of a push: units in by standard input, H.264 and AAC out to the server.

A process of its own, as connecting and sending hold Python's lock for as long as the server likes
(measured with PyAV 16: 6 s for one that accepts and says nothing). It is killed when it is late.
"""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from fractions import Fraction
from typing import BinaryIO
from urllib.parse import urlsplit

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from lipstream.media.i420 import BT601, LIMITED, pad_to_even
from lipstream.media.image import Picture
from lipstream.media.mp4_encoder import SWITCHED_OFF
from lipstream.push.wire import READY, PushTarget, read_unit
from lipstream.timeline import FPS, SOUND_RATE, UNIT_SAMPLES

KEY_FRAMES = 50  # from one to the next, 2 s: a viewer who comes waits for one
PICTURE_BITS, SOUND_BITS = 1_500_000, 96_000  # per second
PRESET = "veryfast"
# Constant quality up to that rate; what a talking face does not gain from is off, as in mp4 files.
X264: dict[str, object] = {
    "preset": PRESET,
    "tune": "zerolatency",
    "crf": "20",
    "maxrate": str(PICTURE_BITS),
    "bufsize": str(2 * PICTURE_BITS),
    "x264-params": SWITCHED_OFF[PRESET],
}
TLS_PORT, CERTIFICATE_S = 443, 5.0  # of rtmps, and to look at a certificate
MAX_GAP = 250  # units that may be missing; after more the stream begins anew
OPTIONS = {"flvflags": "no_duration_filesize"}  # a live stream has neither
SILENCE: NDArray[np.int16] = np.zeros(UNIT_SAMPLES, np.int16)


def main() -> int:
    """Push what comes until its end; 1 when the server cannot be reached or is gone."""
    source = sys.stdin.buffer
    target = PushTarget.from_line(source.readline())
    taken = False
    try:
        if target.url.startswith("rtmps://"):
            check_certificate(target.url)
        with av.open(target.url, "w", format="flv", options=OPTIONS) as container:
            stream = OutgoingStream(container, target)
            container.start_encoding()
            taken = True
            sys.stdout.buffer.write(READY)
            sys.stdout.buffer.flush()
            stream.send_all(source)
    except ssl.SSLCertVerificationError as error:
        print(f"its certificate is not trusted: {error.verify_message}", file=sys.stderr)
        return 1
    except (av.FFmpegError, OSError) as error:
        print(_refusal(error) if not taken else _words(error), file=sys.stderr)
        return 1
    return 0


def _refusal(error: av.FFmpegError | OSError) -> str:
    """The reason why a stream was not taken. FFmpeg has nothing but EIO for a server that closes
    the connection, and that is how servers of RTMP refuse a stream."""
    if error.errno == errno.EIO:
        return "it does not take the stream; check what follows the host in its address"
    return _words(error)


def _words(error: av.FFmpegError | OSError) -> str:
    return str(error.strerror or error)


def check_certificate(url: str) -> None:
    """OSError unless the server of an rtmps:// address shows a certificate that is trusted.

    FFmpeg would take any, and PyAV passes it no option to look at it. So this is a connection of
    its own, before: somebody on the way may still let it through and take the next one.
    """
    address = urlsplit(url)
    place = address.hostname or "", address.port or TLS_PORT
    with (
        socket.create_connection(place, CERTIFICATE_S) as plain,
        ssl.create_default_context().wrap_socket(plain, server_hostname=place[0]),
    ):
        pass


class OutgoingStream:
    """The two tracks of a push. Both begin at 0 with its first unit."""

    def __init__(self, container: OutputContainer, target: PushTarget) -> None:
        self._container = container
        video: VideoStream = container.add_stream("libx264", rate=FPS)
        video.options = X264 | {"g": str(KEY_FRAMES)}
        video.width = target.width + target.width % 2
        video.height = target.height + target.height % 2
        video.pix_fmt, video.time_base = "yuv420p", 1 / FPS
        video.codec_context.thread_count = 1
        video.codec_context.colorspace, video.codec_context.color_range = BT601.code, LIMITED
        audio: AudioStream = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        audio.bit_rate = SOUND_BITS
        audio.options = {"aac_coder": "fast"}
        self._video, self._audio = video, audio
        self._first: int | None = None
        self._next = 0

    def send_all(self, source: BinaryIO) -> None:
        """Send the units of `source` until it ends, or leaves too many out."""
        while (unit := read_unit(source)) is not None:
            index, picture, sound = unit
            self._first = index if self._first is None else self._first
            position = index - self._first
            if not 0 <= position - self._next <= MAX_GAP:
                break
            for missing in range(self._next, position):  # an encoder of sound takes no holes
                self._send_sound(missing, SILENCE)
            self._send_picture(position, picture)
            self._send_sound(position, sound)
            self._next = position + 1
        self._container.mux(self._video.encode(None))
        self._container.mux(self._audio.encode(None))

    def _send_picture(self, position: int, picture: Picture) -> None:
        if picture.ndim == 2:
            frame = VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.colorspace, frame.color_range = BT601.code, LIMITED
        else:
            frame = VideoFrame.from_ndarray(pad_to_even(picture), format="rgb24")
        frame.pts, frame.time_base = position, 1 / FPS
        self._container.mux(self._video.encode(frame))

    def _send_sound(self, position: int, sound: NDArray[np.int16]) -> None:
        frame = AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SOUND_RATE, position * UNIT_SAMPLES
        frame.time_base = Fraction(1, SOUND_RATE)
        self._container.mux(self._audio.encode(frame))


if __name__ == "__main__":
    sys.exit(main())
