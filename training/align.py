"""Find the phones in a recording whose words are known, by forced alignment with pocketsphinx.

    python -m training.align SPEECH.wav "the words said" OUT.json

The result has the form of the other timing files: text, voice, alphabet, timing, sample_rate,
duration, segments. Times are in 10 ms frames; errors of 20 to 40 ms are normal.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from pocketsphinx import Decoder, get_model_path

from training.phonemes import Segment

_FRAME = 0.01  # seconds


def align(samples: NDArray[np.float32], words: str) -> list[Segment]:
    """Phones (ARPAbet, lower case; "" is silence) of 16 kHz mono `samples` that say `words`.

    Raises ValueError when the words do not fit the sound or are not in the dictionary.
    """
    model = Path(get_model_path("en-us"))
    decoder = Decoder(
        hmm=str(model / "en-us"),
        dict=str(model / "cmudict-en-us.dict"),
        lm=None,
        bestpath=False,
        loglevel="FATAL",
    )
    data = (np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes()
    decoder.set_align_text(words)
    _decode(decoder, data)
    decoder.set_alignment()
    _decode(decoder, data)
    found = []
    for word in decoder.get_alignment():
        for phone in word:
            name = phone.name.lower()
            start = phone.start * _FRAME
            label = "" if name == "sil" or name.startswith("+") else name
            found.append(Segment(start, start + phone.duration * _FRAME, label))
    if not found:
        raise ValueError(f"cannot align {words!r}")
    return found


def _decode(decoder: Decoder, data: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(data, full_utt=True)
    decoder.end_utt()


def record(samples: NDArray[np.float32], words: str, voice: str) -> dict[str, Any]:
    """The alignment as a timing file."""
    segments = align(samples, words)
    return {
        "text": words,
        "voice": voice,
        "alphabet": "arpabet",
        "timing": "pocketsphinx 5.1.1 forced alignment (10 ms frames, not hand-checked)",
        "sample_rate": 16000,
        "duration": len(samples) / 16000,
        "segments": [
            {"start": round(s.start, 2), "end": round(s.end, 2), "phone": s.phone} for s in segments
        ],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("words")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    sound, rate = soundfile.read(options.speech, dtype="float32")
    assert rate == 16000 and sound.ndim == 1, "give 16 kHz mono"
    timing = record(sound, options.words.lower(), "human recording")
    options.out.write_text(json.dumps(timing, indent=0) + "\n")
