"""Every error lipstream raises on purpose.

    LipstreamError
    ├── OptionError      the call was wrong: an option or argument has an impossible value (exit 2)
    ├── InputError       a file that was given cannot be used
    │   ├── AudioError       no audio in it, cut short, not finite, ...
    │   ├── PictureError     a picture or a clip that cannot be read, is too large, ...
    │   ├── FaceError        no face, face too small, turned away, ...
    │   ├── ArchiveError     an .avatar file that is damaged or of another version
    │   └── CheckpointError  a network's weights that are damaged or not what they should be
    ├── BufferFullError  more speech than a session may hold; wait until some was played
    ├── SynthesisError   text could not be spoken: the provider refused, failed or stalled
    ├── OutputError      the result cannot be written: folder, permission, disk full
    └── MissingError     a model file or an optional package is not installed

The message is one sentence that names the file, option or field and says what to do.
"""

from __future__ import annotations

import errno


class LipstreamError(Exception):
    """Base of all errors; `str(error)` is meant for the user."""


class OptionError(LipstreamError):
    """An option or argument has a value that can never work."""


class InputError(LipstreamError):
    """A file that was given cannot be used."""


class AudioError(InputError):
    """Audio that cannot be read or holds no usable sound."""


class PictureError(InputError):
    """A picture or video clip that cannot be read."""


class FaceError(InputError):
    """A picture or clip whose face cannot be animated."""


class ArchiveError(InputError):
    """An .avatar file that is damaged or of another version."""


class CheckpointError(InputError):
    """A network's weights that are damaged or not what they should be."""


class BufferFullError(LipstreamError):
    """More speech was pushed than a session may hold; wait until some of it was played."""


class SynthesisError(LipstreamError):
    """Text could not be spoken: the provider of speech refused it, failed or stalled."""

    def __init__(self, message: str, cause: str = "failed") -> None:
        """`cause` is a word for programs, such as "refused" or "stalled"."""
        super().__init__(message)
        self.cause = cause


class OutputError(LipstreamError):
    """The result cannot be written."""


class MissingError(LipstreamError):
    """Something lipstream needs is not installed."""


def reason_of(error: Exception) -> str:
    """The system's words for a failed call, as a part of a sentence."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def disk_is_full(error: BaseException | None) -> bool:
    """True for an error that says, itself or by its cause, that no space is left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__
    return False
