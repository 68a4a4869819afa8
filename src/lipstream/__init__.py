"""lipstream: speech in, a talking face out.

Public names load on first use, so that importing the package costs next to nothing:

    import lipstream

    lipstream.render(avatar="face.png", audio="speech.wav", out="talk.mp4")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar as Avatar
    from lipstream.avatar.builder import build_avatar as build_avatar
    from lipstream.avatar.builder import open_avatar as open_avatar
    from lipstream.avatar.storage import load_avatar as load_avatar
    from lipstream.avatar.storage import save_avatar as save_avatar
    from lipstream.compat.inference import BatchLipSyncProcessor as BatchLipSyncProcessor
    from lipstream.compat.inference import MuseTalkInference as MuseTalkInference
    from lipstream.compat.realtime import OptimizedLipSyncEngine as OptimizedLipSyncEngine
    from lipstream.compat.realtime import RealtimeLipSyncEngine as RealtimeLipSyncEngine
    from lipstream.config import AvatarConfig as AvatarConfig
    from lipstream.config import MotionConfig as MotionConfig
    from lipstream.config import Mp4Config as Mp4Config
    from lipstream.config import MuseTalkConfig as MuseTalkConfig
    from lipstream.engine import Engine as Engine
    from lipstream.engine import open_engine as open_engine
    from lipstream.errors import LipstreamError as LipstreamError
    from lipstream.live.frame_buffer import FrameBuffer as FrameBuffer
    from lipstream.media.audio import AudioChunk as AudioChunk
    from lipstream.media.image import TimedFrame as TimedFrame
    from lipstream.offline import render_file as render
    from lipstream.offline import render_file as render_file
    from lipstream.offline import render_stream as render_stream
    from lipstream.rendering.registry import open_backend as open_backend
    from lipstream.stream import LipSyncStream as LipSyncStream

__version__ = "0.1.0"

_HOMES = {
    "AudioChunk": "lipstream.media.audio",
    "Avatar": "lipstream.avatar.avatar",
    "AvatarConfig": "lipstream.config",
    "BatchLipSyncProcessor": "lipstream.compat.inference",
    "Engine": "lipstream.engine",
    "FrameBuffer": "lipstream.live.frame_buffer",
    "LipSyncStream": "lipstream.stream",
    "LipstreamError": "lipstream.errors",
    "MotionConfig": "lipstream.config",
    "Mp4Config": "lipstream.config",
    "MuseTalkConfig": "lipstream.config",
    "MuseTalkInference": "lipstream.compat.inference",
    "OptimizedLipSyncEngine": "lipstream.compat.realtime",
    "RealtimeLipSyncEngine": "lipstream.compat.realtime",
    "TimedFrame": "lipstream.media.image",
    "build_avatar": "lipstream.avatar.builder",
    "load_avatar": "lipstream.avatar.storage",
    "open_avatar": "lipstream.avatar.builder",
    "open_backend": "lipstream.rendering.registry",
    "open_engine": "lipstream.engine",
    "render": "lipstream.offline",
    "render_file": "lipstream.offline",
    "render_stream": "lipstream.offline",
    "save_avatar": "lipstream.avatar.storage",
}

__all__ = [
    "AudioChunk",
    "Avatar",
    "AvatarConfig",
    "BatchLipSyncProcessor",
    "Engine",
    "FrameBuffer",
    "LipSyncStream",
    "LipstreamError",
    "MotionConfig",
    "Mp4Config",
    "MuseTalkConfig",
    "MuseTalkInference",
    "OptimizedLipSyncEngine",
    "RealtimeLipSyncEngine",
    "TimedFrame",
    "build_avatar",
    "load_avatar",
    "open_avatar",
    "open_backend",
    "open_engine",
    "render",
    "render_file",
    "render_stream",
    "save_avatar",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lipstream' has no attribute {name!r}")
    home = import_module(_HOMES[name])
    value = getattr(home, "render_file" if name == "render" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
