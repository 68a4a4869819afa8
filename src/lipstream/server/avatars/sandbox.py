"""The child process that opens what users upload. `uploads.run_isolated` starts it.

It takes a `DecodeJob` as JSON, runs in a folder with the file, under limits it sets itself, and
prints lines of JSON: {"progress": [done, total]}, at last {"done": {...}} or {"error": [code,
text]}, with a "trace" when it is a bug. Nothing of a damaged or hostile file gets further
than this process.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lipstream.config import AvatarConfig, PcmFormat, face_choice, rotation
from lipstream.errors import FaceError, InputError, LipstreamError, disk_is_full
from lipstream.media.image import Floats
from lipstream.server.settings import UploadLimits

SPOKEN_RATE = 48_000  # Hz, of what viewers hear
REPORT_EVERY_S = 0.2
MAX_OPEN_FILES = 64
MAX_TRACE = 20_000  # characters
DISK_FULL = "the server's disk is full; try again later, or free some space."


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """The work to do with the file `source` of the current folder."""

    work: Literal["probe", "avatar", "speech"]
    source: str
    target: str  # what to write, in the same folder
    limits: UploadLimits
    max_side: int = 0  # pixels of a picture
    pcm: PcmFormat | None = None  # of raw speech
    face: str | None = None  # of several, as `config.face_choice` reads it
    rotate: str | None = None  # as `config.rotation` reads it


class TooLargeError(InputError):
    """More than a user may upload."""


def main(argument: str) -> int:
    """Do the job; 0 when it is done or refused in a sentence."""
    fields = json.loads(argument)
    pcm = None if fields["pcm"] is None else PcmFormat(**fields["pcm"])
    job = DecodeJob(**{**fields, "limits": UploadLimits(**fields["limits"]), "pcm": pcm})
    _confine(job)
    try:
        done = {"probe": probe, "avatar": make_avatar, "speech": make_speech}[job.work](job)
    except Exception as error:  # of any library; the server says and logs what it was
        _report(**_failure(job, error))
    else:
        _report(done={**done, "peak_bytes": _peak_bytes()})
    return 0


def _failure(job: DecodeJob, error: Exception) -> dict[str, Any]:
    """The message for an error: [code, sentence], and where a bug is."""
    if disk_is_full(error):
        return {"error": ["disk_full", DISK_FULL]}
    if isinstance(error, LipstreamError):
        kind = "too_large" if isinstance(error, TooLargeError) else "unusable"
        return {"error": ["no_face" if isinstance(error, FaceError) else kind, str(error)]}
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return {"error": ["too_large", f"{job.source} needs too much memory; send a smaller file."]}
    bug = f"{job.source} met a bug in lipstream ({type(error).__name__}); export it again."
    return {"error": ["internal", bug], "trace": traceback.format_exc()[-MAX_TRACE:]}


def probe(job: DecodeJob) -> dict[str, Any]:
    """Read the header only: {"kind": "image" or "video"}. TooLargeError beyond the limits."""
    from lipstream.media.pictures.picture_file import picture_kind

    path, limits = Path(job.source), job.limits
    kind = picture_kind(path)
    if kind == "still":
        width, height = _picture_size(path)
        if width * height > limits.picture_pixels:
            raise TooLargeError(
                f"{path} has {width}x{height} pixels, more than the "
                f"{limits.picture_pixels // 1_000_000} million allowed; shrink it first."
            )
        return {"kind": "image"}
    if kind == "animation":
        _check_clip_size(path, *_picture_size(path), limits)
    else:
        _probe_clip(path, limits)
    return {"kind": "video"}


def make_avatar(job: DecodeJob) -> dict[str, Any]:
    """Measure the face of the picture or clip and write the prepared avatar."""
    from lipstream.avatar.builder import build_avatar
    from lipstream.avatar.storage import save_avatar

    kind = probe(job)["kind"]
    limits = job.limits
    pixels = limits.picture_pixels if kind == "image" else limits.clip_pixels
    if kind == "image":
        _limit_cpu(limits.picture_cpu_s)
    config = AvatarConfig(
        max_side=job.max_side,
        max_pixels=pixels,
        max_seconds=limits.clip_seconds,
        face=face_choice(job.face) if job.face else None,
        rotate=rotation(job.rotate or "none"),
    )
    avatar = build_avatar(Path(job.source), config, _Progress())
    save_avatar(avatar, job.target)
    return {"frames": len(avatar.frames)}


def make_speech(job: DecodeJob) -> dict[str, Any]:
    """Decode the sound to 16-bit mono samples of `SPOKEN_RATE`, counting as it goes."""
    import numpy as np
    import soxr

    from lipstream.media.audio_reader import open_audio
    from lipstream.speech.mono_mixer import MonoMixer
    from lipstream.speech.unheard import UnheardSpeech

    limits, path = job.limits, Path(job.source)
    written = samples = size = 0
    with open_audio(path, job.pcm) as sound, open(job.target, "xb") as target:
        rate = sound.sample_rate
        mixer, unheard = MonoMixer(rate), UnheardSpeech()
        resampler = soxr.ResampleStream(rate, SPOKEN_RATE, 1, quality="HQ")
        for chunk in sound:
            samples += len(chunk)
            size += 4 * len(chunk) * chunk.channels
            if samples > limits.audio_seconds * rate or size > limits.audio_bytes:
                raise TooLargeError(
                    f"{path} is longer than {limits.audio_seconds} s or than "
                    f"{limits.audio_bytes >> 20} MiB decoded; send a part of it."
                )
            unheard.listen(chunk)
            mono = resampler.resample_chunk(np.ascontiguousarray(mixer.mix(chunk)))
            written += target.write(_pcm(mono))
        tail = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        written += target.write(_pcm(tail))
    warning = unheard.warning(path.name)
    return {"samples": written // 2, "sample_rate": SPOKEN_RATE, "warning": warning}


def _pcm(samples: Floats) -> bytes:
    import numpy as np

    return np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2").tobytes()


def _picture_size(path: Path) -> tuple[int, int]:
    """(width, height) by the header."""
    import warnings

    from PIL import Image as Pillow

    from lipstream.media.pictures.picture_file import formats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Pillow.MAX_IMAGE_PIXELS = None  # our own limit decides
        with Pillow.open(path, formats=formats()) as opened:
            return opened.size


def _probe_clip(path: Path, limits: UploadLimits) -> None:
    from lipstream.errors import PictureError
    from lipstream.media.demux import open_media
    from lipstream.media.video_reader import video_track

    with open_media(path, PictureError) as media:
        track = video_track(media)
        _check_clip_size(path, track.width, track.height, limits)
        if track.duration and track.time_base:
            seconds = float(track.duration * track.time_base)
            if seconds > limits.clip_seconds:
                raise TooLargeError(
                    f"{path} is longer than {limits.clip_seconds} s; cut out a part in which the "
                    "face is seen well."
                )


def _check_clip_size(path: Path, width: int, height: int, limits: UploadLimits) -> None:
    if width * height > limits.clip_pixels:
        raise TooLargeError(f"{path} is {width}x{height}, more than 1920x1080; shrink it first.")


def _confine(job: DecodeJob) -> None:
    """Limit what this process may use, where the system can."""
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        import resource
    except ImportError:  # on Windows only the parent's clock limits it
        return
    limits = job.limits
    avatar = job.work == "avatar"
    _limit_cpu(limits.avatar_cpu_s if avatar else limits.audio_cpu_s)
    memory = limits.avatar_memory if avatar else limits.memory
    # Writable memory of this process; shared libraries do not count.
    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, max(2 * limits.audio_bytes, limits.avatar_memory)),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _limit(what, most)


def _limit_cpu(seconds: int) -> None:
    """Limit the processor time of this process from its beginning, where the system can."""
    try:
        import resource
    except ImportError:
        return
    _limit(resource.RLIMIT_CPU, seconds)


def _limit(what: int, most: int) -> None:
    import resource

    hard = resource.getrlimit(what)[1]
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (allowed, allowed))


def _peak_bytes() -> int:
    """The most memory this process ever used; 0 where the system does not say. `getrusage` would
    count what the parent had when it forked."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(found[0]) if found else 0


def _report(**message: Any) -> None:
    print(json.dumps(message), flush=True)


class _Progress:
    """Reports progress a few times a second."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + REPORT_EVERY_S
            _report(progress=[done, total])
