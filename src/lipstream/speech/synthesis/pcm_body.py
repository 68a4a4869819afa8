"""The body of an answer that should be raw samples, 16 bit little-endian mono at 24 kHz."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from lipstream.errors import SynthesisError

SAMPLE_RATE = 24_000  # Hz, of `response_format: pcm` wherever it is spoken
HEAD = 16  # bytes from which a body is judged

# The first bytes of sound that is packed. A frame of MP3 without a tag looks like samples: there
# the header has to say so, too.
MAGIC = {b"RIFF": "WAV", b"OggS": "Ogg", b"fLaC": "FLAC", b"ID3\x03": "MP3", b"ID3\x04": "MP3"}
MP3_FRAMES = (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
MP3_TYPES = ("audio/mpeg", "audio/mp3")
TEXT_TYPES = ("application/json", "application/problem+json", "text/")


class PcmBody:
    """Turns the bytes of one answer, however they were cut, into samples.

    SynthesisError when it is something else. `provider` begins that sentence.

        push(b"...16 bytes, and \\x01"), push(b"\\x02...")    # the sample 0x0201 is whole
    """

    def __init__(self, content_type: str, provider: str) -> None:
        self._type, self._provider = content_type.lower(), provider
        self._head: bytes | None = b""  # until it was judged
        self._odd = b""
        self.empty = True

    def push(self, data: bytes) -> npt.NDArray[np.int16]:
        """The next bytes -> the samples that they complete, (n,) int16."""
        if self._head is not None:
            data = self._head + data
            if len(data) < HEAD:
                self._head = data
                return np.zeros(0, np.int16)
            self._head = None
            self._judge(data[:HEAD])
        data = self._odd + data
        whole = len(data) & ~1
        self._odd = data[whole:]
        self.empty = self.empty and not whole
        return np.frombuffer(data[:whole], "<i2").astype(np.int16, copy=False)

    def end(self) -> npt.NDArray[np.int16]:
        """The samples that a very short body held back. Half a sample at its end is no sound."""
        if self._head is None:
            return np.zeros(0, np.int16)
        head, self._head = self._head, None
        self._judge(head)
        return self.push(head)

    def _judge(self, head: bytes) -> None:
        found = next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)
        if head.startswith(MP3_FRAMES) and self._type.startswith(MP3_TYPES):
            found = "MP3"
        # Samples that all look like letters are above 8000, which no speech begins with.
        letters = len(head) > 0 and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
        if self._type.startswith(TEXT_TYPES) or (found is None and letters):
            found = "text"
        if found is not None:
            raise SynthesisError(
                f"{self._provider} answered with {found} instead of raw samples; it has to know "
                'response_format "pcm".',
                "bad_answer",
            )
        rate = re.search(r"rate=\"?(\d+)", self._type)
        if rate is not None and int(rate[1]) != SAMPLE_RATE:
            raise SynthesisError(
                f"{self._provider} answered at {int(rate[1][:9])} Hz, where pcm is {SAMPLE_RATE}; "
                "choose a model or a setting of it that does.",
                "bad_answer",
            )
