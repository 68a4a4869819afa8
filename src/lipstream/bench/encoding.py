"""Video encoders for sessions that are measured, where PyAV and aiortc are there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from lipstream.media.image import Picture

    Encode: TypeAlias = Callable[[Picture, int], object]  # picture, its index in the stream

BITRATE = 2_500_000
NEEDED = ("av", "aiortc", "cv2")


def encoders_there() -> bool:
    """Whether pictures can be encoded here."""
    return all(find_spec(name) is not None for name in NEEDED)


@contextmanager
def open_encoders(
    encoded: bool,
) -> Iterator[tuple[ThreadPoolExecutor | None, Callable[[], Encode | None]]]:
    """Threads to encode in and what makes an encoder; nothing of it unless `encoded`."""
    if not encoded:
        yield None, lambda: None
        return
    from lipstream.server.rtc.encoders import FRAME_TICKS, open_video_encoder

    def encoder() -> Encode:
        made = open_video_encoder("H264", BITRATE, hardware=False)
        return lambda picture, index: made.encode(picture, index * FRAME_TICKS)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "video-encoder") as pool:
        yield pool, encoder
