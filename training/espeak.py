"""espeak-ng as a source of speech with exact phoneme times, through its C library.

espeak-ng is GPL: it makes training data here, and is neither shipped nor linked by lipstream.
"""

from __future__ import annotations

import ctypes as c
from functools import cache

import numpy as np
from numpy.typing import NDArray

from training.phonemes import Segment, Utterance

_LIBRARY = "libespeak-ng.so.1"
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_EVENTS = 3  # espeakINITIALIZE_PHONEME_EVENTS | espeakINITIALIZE_PHONEME_IPA
_PHONEME = 7  # espeakEVENT_PHONEME
_UTF8 = 1  # espeakCHARS_UTF8
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_MARKS = ("ʲ", "ː", "ʰ")
_IPA = {"??": "ʔ", "ε": "ɛ"}  # German glottal stop; Danish writes a Greek letter


class _Id(c.Union):
    _fields_ = (("number", c.c_int), ("name", c.c_char_p), ("string", c.c_char * 8))


class _Event(c.Structure):
    _fields_ = (
        ("type", c.c_int),
        ("unique_identifier", c.c_uint),
        ("text_position", c.c_int),
        ("length", c.c_int),
        ("audio_position", c.c_int),
        ("sample", c.c_int),
        ("user_data", c.c_void_p),
        ("id", _Id),
    )


_Callback = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(_Event))


class Espeak:
    """The library, loaded once per process; it keeps global state and is not thread-safe."""

    def __init__(self) -> None:
        self._library = c.CDLL(_LIBRARY)
        self.sample_rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, _EVENTS))
        self._chunks: list[NDArray[np.int16]] = []
        self._starts: list[tuple[int, str]] = []  # sample, IPA
        self._callback = _Callback(self._take)  # kept alive: the library holds the pointer
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: c._Pointer[c.c_short], count: int, events: c._Pointer[_Event]) -> int:
        if count > 0 and samples:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != 0:
            if events[index].type == _PHONEME:
                ipa = events[index].id.string.decode("utf-8", "ignore")
                self._starts.append((events[index].sample, ipa))
            index += 1
        return 0

    def say(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int) -> Utterance:
        """Speak `text`; rate in words per minute, pitch and its range 0..100.

        Raises ValueError when espeak-ng has no such voice, or says nothing.
        """
        self._chunks.clear()
        self._starts.clear()
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice}")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if not self._chunks or not self._starts:
            raise ValueError(f"espeak-ng {voice} says nothing to {text!r}")
        samples = np.concatenate(self._chunks).astype(np.float32) / 32768.0
        # A mark alone, as in Slavic palatalisation, belongs to the phoneme before it.
        starts = [(start, ipa) for start, ipa in self._starts if ipa not in _MARKS]
        ends = [sample for sample, _ in starts[1:]] + [len(samples)]
        segments = tuple(
            Segment(start / self.sample_rate, end / self.sample_rate, _IPA.get(ipa, ipa))
            for (start, ipa), end in zip(starts, ends, strict=True)
        )
        return Utterance(samples, self.sample_rate, segments, f"espeak {voice}")


@cache
def espeak() -> Espeak:
    """The one espeak-ng of this process."""
    return Espeak()
