"""The measurements of a page."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from lipstream.server.schemas.message import HOUR, Message

Count = Annotated[int, Field(ge=0, le=2**53)]
Milliseconds = Annotated[float, Field(ge=0, le=HOUR, allow_inf_nan=False)]


class BrowserStats(Message):
    """Recent measurements of a page; every field may be left out."""

    model_config = ConfigDict(extra="ignore", strict=True)  # pages may know more
    fps: Annotated[float | None, Field(ge=0, le=1000, allow_inf_nan=False)] = None
    av_offset_ms: Annotated[float | None, Field(ge=-HOUR, le=HOUR, allow_inf_nan=False)] = None
    latency_ms: Milliseconds | None = None
    rtt_ms: Milliseconds | None = None
    jitter_audio_ms: Milliseconds | None = None
    jitter_video_ms: Milliseconds | None = None
    concealed_ms: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    dropped: Count | None = None
    freezes: Count | None = None
    packets_lost: Annotated[int | None, Field(ge=-(2**53), le=2**53)] = None
