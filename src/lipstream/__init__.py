"""lipstream: speech in, a talking face out.

Public names load on first use, so that importing the package costs next to nothing:

    import lipstream

    lipstream.render(avatar="face.png", audio="speech.wav", out="talk.mp4")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar, QualityReport
    from lipstream.avatar.builder import build_avatar, open_avatar
    from lipstream.avatar.storage import load_avatar, save_avatar
    from lipstream.clip_player import source_rate
    from lipstream.compat.inference import BatchLipSyncProcessor, MuseTalkInference
    from lipstream.compat.realtime import OptimizedLipSyncEngine, RealtimeLipSyncEngine
    from lipstream.config import (
        AvatarConfig,
        MotionConfig,
        Mp4Config,
        MuseTalkConfig,
        PcmFormat,
        RuntimeOptions,
    )
    from lipstream.engine import Engine, open_engine
    from lipstream.errors import (
        ArchiveError,
        AudioError,
        BufferFullError,
        CheckpointError,
        FaceError,
        InputError,
        LipstreamError,
        MissingError,
        OptionError,
        OutputError,
        PictureError,
        SynthesisError,
    )
    from lipstream.live.frame_buffer import FrameBuffer
    from lipstream.live.scheduler.scheduler import Scheduler
    from lipstream.live.session.session import Session
    from lipstream.live.session.types import SessionCounts, SessionEvent, SessionLimits, Unit
    from lipstream.live.session.utterance import Utterance
    from lipstream.media.audio import AudioChunk
    from lipstream.media.captions import Caption
    from lipstream.media.image import Box, TimedFrame
    from lipstream.offline import RenderResult, render, render_stream
    from lipstream.rendering.registry import Backend, open_backend
    from lipstream.speech.synthesis.base import SynthesizedSpeech, Synthesizer
    from lipstream.speech.synthesis.registry import open_synthesizer
    from lipstream.stream import LipSyncStream, Segment

__version__ = "0.1.0"

_EXPORTS = {
    "avatar.avatar": "Avatar QualityReport",
    "avatar.builder": "build_avatar open_avatar",
    "avatar.storage": "load_avatar save_avatar",
    "clip_player": "source_rate",
    "compat.inference": "BatchLipSyncProcessor MuseTalkInference",
    "compat.realtime": "OptimizedLipSyncEngine RealtimeLipSyncEngine",
    "config": "AvatarConfig MotionConfig Mp4Config MuseTalkConfig PcmFormat RuntimeOptions",
    "engine": "Engine open_engine",
    "errors": "ArchiveError AudioError BufferFullError CheckpointError FaceError InputError "
    "LipstreamError MissingError OptionError OutputError PictureError SynthesisError",
    "live.frame_buffer": "FrameBuffer",
    "live.scheduler.scheduler": "Scheduler",
    "live.session.session": "Session",
    "live.session.types": "SessionCounts SessionEvent SessionLimits Unit",
    "live.session.utterance": "Utterance",
    "media.audio": "AudioChunk",
    "media.captions": "Caption",
    "media.image": "Box TimedFrame",
    "offline": "RenderResult render render_stream",
    "rendering.registry": "Backend open_backend",
    "speech.synthesis.base": "SynthesizedSpeech Synthesizer",
    "speech.synthesis.registry": "open_synthesizer",
    "stream": "LipSyncStream Segment",
}
_MODULES = {name: f"lipstream.{home}" for home, names in _EXPORTS.items() for name in names.split()}

__all__ = [
    "ArchiveError",
    "AudioChunk",
    "AudioError",
    "Avatar",
    "AvatarConfig",
    "Backend",
    "BatchLipSyncProcessor",
    "Box",
    "BufferFullError",
    "Caption",
    "CheckpointError",
    "Engine",
    "FaceError",
    "FrameBuffer",
    "InputError",
    "LipSyncStream",
    "LipstreamError",
    "MissingError",
    "MotionConfig",
    "Mp4Config",
    "MuseTalkConfig",
    "MuseTalkInference",
    "OptimizedLipSyncEngine",
    "OptionError",
    "OutputError",
    "PcmFormat",
    "PictureError",
    "QualityReport",
    "RealtimeLipSyncEngine",
    "RenderResult",
    "RuntimeOptions",
    "Scheduler",
    "Segment",
    "Session",
    "SessionCounts",
    "SessionEvent",
    "SessionLimits",
    "SynthesisError",
    "SynthesizedSpeech",
    "Synthesizer",
    "TimedFrame",
    "Unit",
    "Utterance",
    "build_avatar",
    "load_avatar",
    "open_avatar",
    "open_backend",
    "open_engine",
    "open_synthesizer",
    "render",
    "render_stream",
    "save_avatar",
    "source_rate",
]

if not TYPE_CHECKING:  # a type checker that saw it would accept every name

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'lipstream' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_MODULES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
