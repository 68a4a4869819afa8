"""A push into a virtual camera of this machine, such as v4l2loopback makes: pictures alone."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipstream.media.i420 import BT601, pad_to_even, to_i420
from lipstream.media.image import Picture
from lipstream.push.live_push import LivePush, OnLost, PushRefusedError
from lipstream.timeline import FPS

DEVICES = "/dev/"
FORMAT = "v4l2"  # FFmpeg's output to devices of Video4Linux
# Of linux/videodev2.h: the call, the size of `v4l2_capability`, its `device_caps`, a flag there.
QUERYCAP, CAPABILITY_BYTES, DEVICE_CAPS_AT, VIDEO_OUTPUT = 0x80685600, 104, 88, 0x2


class CameraPush(LivePush):
    """Writes pictures as I420 to a device of Video4Linux that takes them.

    Writing is a copy into the kernel, so it needs no process of its own.
    """

    def __init__(
        self,
        device: Path,
        size: tuple[int, int],
        on_lost: OnLost,
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        """`size` is width and height; `on_lost` and `on_connected` are those of `LivePush`."""
        super().__init__(on_lost, on_connected)
        self._device, self._size = device, size

    async def _try_once(self) -> str:
        try:
            check_camera(self._device)
            container = av.open(str(self._device), "w", format=FORMAT)
            stream = self._opened(container)
        except (av.FFmpegError, OSError) as error:
            raise PushRefusedError(f"it takes no pictures ({error.strerror})") from error
        with container:
            self._connect()
            try:
                while (unit := await self._units.get()) is not None:
                    container.mux(stream.encode(_planes(unit.frame)))
                    self.sent += 1
            except (av.FFmpegError, OSError) as error:
                return str(error.strerror)
        return "it has ended"

    def _opened(self, container: OutputContainer) -> VideoStream:
        """The one stream of a device, which takes pictures from now on."""
        stream: VideoStream = container.add_stream("rawvideo", rate=FPS)
        stream.width, stream.height = (side + side % 2 for side in self._size)
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
        return stream


def check_camera(device: Path) -> None:
    """OSError unless pictures can be written to `device` (VIDIOC_QUERYCAP of linux/videodev2.h).

    FFmpeg would find out as well, but leave the device open.
    """
    answer = bytearray(CAPABILITY_BYTES)
    descriptor = os.open(device, os.O_RDWR)
    try:
        import fcntl  # not where there are no such devices

        fcntl.ioctl(descriptor, QUERYCAP, answer)
    finally:
        os.close(descriptor)
    (capabilities,) = struct.unpack_from("=I", answer, DEVICE_CAPS_AT)
    if not capabilities & VIDEO_OUTPUT:
        raise OSError(errno.EINVAL, "it is a camera that gives pictures")


def _planes(picture: Picture) -> VideoFrame:
    if picture.ndim == 3:
        picture = to_i420(pad_to_even(picture), BT601)
    return VideoFrame.from_ndarray(picture, format="yuv420p")
