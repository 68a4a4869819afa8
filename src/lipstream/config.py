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
class MuseTalkConfig:
    """How the MuseTalk backend runs."""

    models: str | None = None  # folder of weights; None looks where `lipstream models` puts them
    version: str | None = None  # v1 or v15; None takes v15 where it is there
    device: str | None = None  # cuda, cuda:1, cpu; None takes a GPU where there is one
    precision: str | None = None  # float32, float16, bfloat16; None fits the device
    live: bool = False  # hear only what a live stream can know, not whole pieces of 30 s
    planes: bool = False  # give pictures as planes for a video encoder (`video.Planes`), not as RGB
    batch: int | None = None  # frames through the networks at once, at most; None fits the use
    side: int = 256  # pixels of the face that the network paints: 256 or 512
    shift: int = 0  # v1 only: pixels by which the middle of the face's box moves down
    profile: str = "exact"  # turbo: a small decoder, faster and only close to the published one
    optimized: bool = False  # on a CPU, too, what is faster and differs by rounding only


@dataclass(frozen=True, slots=True)
class Mp4Config:
    """How an mp4 is encoded."""

    crf: int = 18  # H.264 constant quality; lower is better and larger
    preset: str = "veryfast"
    audio_bitrate: int = 160_000
