"""Raw samples: a file that has no header, so that the user must say what it holds."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import av

from lipstream.config import PcmFormat
from lipstream.errors import AudioError
from lipstream.media.audio import checked_rate
from lipstream.media.demux import MediaFile
from lipstream.media.input_path import opened

SUFFIXES = (".pcm", ".raw", ".s16", ".s16le", ".f32", ".f32le", ".ul", ".ulaw", ".al", ".alaw")
HEADERS = re.compile(
    rb"RIFF|RF64|fLaC|OggS|FORM|ID3|caff|\.snd|#!AMR|FLV\x01|\x1aE\xdf\xa3|....ftyp", re.DOTALL
)


@contextlib.contextmanager
def open_pcm(path: Path, pcm: PcmFormat) -> Iterator[MediaFile]:
    """Open a file of raw samples, to be decoded as any other.

    AudioError when it cannot be opened, or begins with the header of a file that is not raw.
    """
    options = {
        "sample_rate": str(checked_rate(pcm.sample_rate)),
        "ch_layout": f"{pcm.channels}C",  # so many, in no places
        "protocol_whitelist": "none",
    }
    with opened(path, AudioError) as handle:
        if HEADERS.match(handle.read(8)):
            raise AudioError(
                f"{path} has a header, so its samples are not raw; leave out --audio-format."
            )
        handle.seek(0)
        try:
            container = av.open(handle, "r", format=pcm.encoding, options=options)
        except (av.FFmpegError, OSError, ValueError) as failure:
            raise AudioError(f"{path} cannot be read as {pcm.encoding}; check it.") from failure
        with container:
            yield MediaFile(path, container, AudioError)


def needs_format(path: Path) -> AudioError:
    """The error for a file of raw samples of which nothing is known."""
    return AudioError(
        f"{path} has no header of an audio or video file; raw samples need --audio-format and "
        "--sample-rate, such as s16le and 16000, to say what they are."
    )


def is_raw(path: Path) -> bool:
    """Tell whether a file is called raw and has no header: FFmpeg would guess, at times wrongly."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    with opened(path, AudioError) as handle:
        return HEADERS.match(handle.read(8)) is None
