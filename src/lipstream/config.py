"""Settings, as frozen values that are checked when they are made; `OptionError` for a bad one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lipstream.errors import OptionError

VERSIONS = ("v1", "v15")
PRECISIONS = ("float32", "float16", "bfloat16")
PROFILES = ("exact", "turbo")
FACE_SIZES = (256, 512)
MAX_CONTEXT_S = 30  # of speech: all that the network takes at once
MAX_LOOK_AHEAD_MS = 1000  # beyond it a face answers too late to be called live
MOTION_LEVELS = ("still", "calm", "lively")
PIXEL_FORMATS = ("rgb24", "i420")
MAX_CRF = 51  # of H.264
PRESETS = (  # of x264
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
# FFmpeg's names of what raw samples can be: signed, unsigned or float, bits, the byte order.
PCM_ENCODINGS = (
    *("s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "s8", "u8"),
    *("f32le", "f32be", "f64le", "f64be", "mulaw", "alaw"),
)
MAX_PCM_CHANNELS = 64

ROTATIONS: tuple[int | Literal["auto"], ...] = (0, 90, 180, 270, "auto")
MAX_FACE = 99
FACE_NUMBER = re.compile(r"[0-9]{1,6}")

# The order in which the frames of a clip are shown: to its end, there and back, or over and over.
ClipMode: TypeAlias = Literal["once", "ping-pong", "loop"]
CLIP_MODES: tuple[ClipMode, ...] = ("once", "ping-pong", "loop")

MotionLevel: TypeAlias = Literal["still", "calm", "lively"]

# A callback: what is done and, if it is known, all there is to do.
Progress: TypeAlias = Callable[[int, "int | None"], None]


@dataclass(frozen=True, slots=True)
class AvatarConfig:
    """The preparation of a picture or clip."""

    max_side: int = 1280  # pixels; larger sources are shrunk once, when the avatar is built
    background: tuple[int, int, int] = (255, 255, 255)  # RGB behind transparent pictures
    max_pixels: int = 50_000_000  # a larger picture is refused before it is decoded
    max_seconds: int = 60  # a longer clip is refused; `render` reads it while it shows it
    min_eye_distance: float = 24.0  # pixels between the outer eye corners; refused below
    good_eye_distance: float = 60.0  # a warning below
    # Of several faces: 1 is the largest, 2 the next; or (x, y), a place on the face in pixels of
    # the source as a viewer shows it, before it is turned or shrunk. None takes the largest.
    face: int | tuple[float, float] | None = None
    # Degrees clockwise: 0, 90, 180 or 270; "auto" sets the face upright.
    rotate: int | Literal["auto"] = 0

    def __post_init__(self) -> None:
        _one_of("avatar", "rotate", self.rotate, ROTATIONS)
        _check(
            not isinstance(self.face, int) or 1 <= self.face <= MAX_FACE,
            f"face must be a number from 1 to {MAX_FACE} or a place, not {self.face}.",
        )
        for name in ("max_side", "max_pixels", "max_seconds", "min_eye_distance"):
            _check(getattr(self, name) > 0, f"{name} must be above 0, not {getattr(self, name)}.")
        colour = self.background
        _check(
            len(colour) == 3 and all(0 <= value <= 255 for value in colour),
            f"background must be (red, green, blue) from 0 to 255, not {colour!r}.",
        )


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """The samples of a raw file, which has no header to say it."""

    encoding: str = "s16le"  # one of PCM_ENCODINGS
    sample_rate: int = 16_000  # Hz
    channels: int = 1

    def __post_init__(self) -> None:
        _one_of("PCM", "encoding", self.encoding, PCM_ENCODINGS)
        _check(self.sample_rate > 0, f"sample_rate must be above 0, not {self.sample_rate}.")
        _check(
            1 <= self.channels <= MAX_PCM_CHANNELS,
            f"channels must be from 1 to {MAX_PCM_CHANNELS}, not {self.channels}.",
        )


@dataclass(frozen=True, slots=True)
class MotionConfig:
    """The idle motion of a still portrait. A clip brings its own motion and ignores this."""

    blink: bool = True
    sway: bool = True
    seed: int = 0  # another seed blinks and sways at other moments
    level: MotionLevel = "lively"  # still: no sway; calm: half of it, and slower

    def __post_init__(self) -> None:
        _one_of("motion", "level", self.level, MOTION_LEVELS)


@dataclass(frozen=True, slots=True)
class MuseTalkConfig:
    """The choices of a user of the MuseTalk backend. None is what fits the machine."""

    models: str | os.PathLike[str] | None = None  # folder of weights; None: that of `models pull`
    version: str | None = None  # v1 or v15; None takes v15 where its weights are
    device: str | None = None  # cuda, cuda:1, cpu; None takes a GPU if the machine has one
    precision: str | None = None  # float32, float16, bfloat16; None: half on a GPU
    profile: str = "exact"  # turbo: a small decoder, faster and only close to the published one
    face_size: int = 256  # pixels of the face that the network paints: 256 or 512
    bbox_shift: int = 0  # v1 only: pixels by which the face's box moves down; opens the mouth more
    # Live: seconds of past speech that are heard with each frame, from 1 to 30; 30 are all of the
    # piece that a network takes at once, as offline. None: 5 on a CPU and for HuBERT, else 30.
    context_s: int | None = None
    look_ahead_ms: int = 0  # live: speech to wait for beyond what a frame needs; delays every frame

    def __post_init__(self) -> None:
        _one_of("MuseTalk", "version", self.version, (None, *VERSIONS))
        _one_of("MuseTalk", "precision", self.precision, (None, *PRECISIONS))
        _one_of("MuseTalk", "profile", self.profile, PROFILES)
        _one_of("MuseTalk", "face_size", self.face_size, FACE_SIZES)
        _check(
            self.context_s is None or 1 <= self.context_s <= MAX_CONTEXT_S,
            f"context_s must be from 1 to {MAX_CONTEXT_S}, not {self.context_s}.",
        )
        _check(
            0 <= self.look_ahead_ms <= MAX_LOOK_AHEAD_MS,
            f"look_ahead_ms must be from 0 to {MAX_LOOK_AHEAD_MS}, not {self.look_ahead_ms}.",
        )
        device = "cpu" if self.device is None else str(self.device)
        _check(
            re.fullmatch(r"cpu|cuda(:\d{1,3})?", device) is not None,
            f"there is no device {device!r}; use cuda, cuda:0 or cpu.",
        )


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """The use that a program makes of a backend, whatever its user chose."""

    live: bool = False  # conditionings from what a live stream can know, not from 30 s pieces
    pixel_format: Literal["rgb24", "i420"] = "rgb24"  # of pictures: RGB, or a video encoder's
    batch: int | None = None  # most frames through MuseTalk's networks at once; None fits `live`
    optimized: bool = False  # on a CPU, too, what is faster and differs by rounding only

    def __post_init__(self) -> None:
        _one_of("backend", "pixel_format", self.pixel_format, PIXEL_FORMATS)
        _check(
            self.batch is None or self.batch >= 1, f"batch must be at least 1, not {self.batch}."
        )


@dataclass(frozen=True, slots=True)
class Mp4Config:
    """The encoding of an mp4."""

    crf: int = 18  # H.264 constant quality, 0 to 51; lower is better and larger
    preset: str = "veryfast"
    audio_bitrate: int = 160_000

    def __post_init__(self) -> None:
        _one_of("mp4", "preset", self.preset, PRESETS)
        _check(0 <= self.crf <= MAX_CRF, f"crf must be from 0 to {MAX_CRF}, not {self.crf}.")
        _check(self.audio_bitrate > 0, f"audio_bitrate must be above 0, not {self.audio_bitrate}.")


def face_choice(text: str) -> int | tuple[float, float]:
    """`AvatarConfig.face` from "2" or "320,210"; OptionError for anything else."""
    parts = text.split(",")
    if len(parts) in (1, 2) and all(FACE_NUMBER.fullmatch(part.strip()) for part in parts):
        numbers = [int(part) for part in parts]
        if len(numbers) == 2:
            return float(numbers[0]), float(numbers[1])
        if 1 <= numbers[0] <= MAX_FACE:
            return numbers[0]
    raise OptionError(
        f"{text!r} names no face; write 1 for the largest, 2 for the next, or a place on the face "
        "in pixels, such as 320,210."
    )


def rotation(text: str) -> int | Literal["auto"]:
    """`AvatarConfig.rotate` from "none", "auto" or degrees; OptionError for anything else."""
    for known in ROTATIONS:
        if text.strip() == ("none" if known == 0 else str(known)):
            return known
    raise OptionError(f"there is no rotation {text!r}; use none, auto, 90, 180 or 270.")


def _check(true: bool, otherwise: str) -> None:
    if not true:
        raise OptionError(otherwise)


def _one_of(what: str, name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        choices = [str(one) for one in known if one is not None]
        listed = (" or " if len(choices) == 2 else ", ").join(choices)
        raise OptionError(f"there is no {what} {name} {value!r}; use {listed}.")
