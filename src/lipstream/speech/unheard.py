"""Say why a mouth stays shut all through a file: it is silent, too quiet, or holds no speech."""

from __future__ import annotations

import numpy as np

from lipstream.media.audio import AudioChunk

# dB of full scale, of the loudest chunk.
SILENT = -90.0  # what 16 bits do to silence is below it
TOO_QUIET = -75.0  # `QuietSpeechGain` raises speech of such a level no further than half way
MIN_SECONDS = 1  # a shorter sound need hold no syllable


class UnheardSpeech:
    """Listens to a file's sound as it is spoken, and tells why the mouth never opened.

    `opened` is for the speech encoder to set: True once the mouth opens, False while it has not,
    None where only drawing shows it.
    """

    def __init__(self) -> None:
        self.opened: bool | None = None
        self._loudest = 0.0  # mean square of a channel
        self._seconds = 0.0

    def listen(self, chunk: AudioChunk) -> None:
        """Take the next chunk of the file, a quarter of a second or so."""
        if len(chunk):
            power = np.square(chunk.samples, dtype=np.float64).mean(axis=0).max()
            self._loudest = max(self._loudest, float(power))
            self._seconds += len(chunk) / chunk.sample_rate

    def warning(self, name: str) -> str | None:
        """One sentence about the file called `name`; None when there is nothing to say."""
        if self.opened or self._seconds < MIN_SECONDS:
            return None
        level = 10 * float(np.log10(self._loudest + 1e-20))
        if level < SILENT:
            return f"The mouth stays shut: {name} is silent; record it again or choose another."
        if level < TOO_QUIET:
            return (
                f"The mouth stays shut: the speech in {name} is too quiet to be heard "
                f"({level:.0f} dB where it is loudest); raise its level."
            )
        if self.opened is None:
            return None
        return (
            f"The mouth stays shut: no speech was heard in {name}, only noise, a hum or music; "
            "give a recording in which the voice is clear."
        )
