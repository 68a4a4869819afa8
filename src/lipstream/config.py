"""Settings, as frozen values. Reads nothing and imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AvatarConfig:
    """How a picture or clip becomes an avatar."""

    max_side: int = 1280  # pixels; larger sources are shrunk once, when the avatar is built
    background: tuple[int, int, int] = (255, 255, 255)  # RGB behind transparent pictures
    max_pixels: int = 100_000_000  # a larger picture is refused before it is decoded
    max_seconds: int = 60  # a longer clip is refused
    min_eye_distance: float = 24.0  # pixels between the outer eye corners; refused below
    good_eye_distance: float = 60.0  # a warning below


@dataclass(frozen=True, slots=True)
class MotionConfig:
    """How lively a still portrait is. A clip brings its own motion and ignores this."""

    blink: bool = True
    sway: bool = True
    seed: int = 0  # another seed blinks and sways at other moments


@dataclass(frozen=True, slots=True)
class MovieConfig:
    """How an mp4 is encoded."""

    crf: int = 18  # H.264 constant quality; lower is better and larger
    preset: str = "veryfast"
    audio_bitrate: int = 160_000
