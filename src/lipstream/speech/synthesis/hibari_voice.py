"""The voice `heart` of hibari-tts: English text to samples, and to the times of its words.

Nothing is ever downloaded: that voice is inside the package, and hibari is given its file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lipstream.errors import SynthesisError
from lipstream.media.captions import Caption
from lipstream.speech.synthesis.base import SynthesizedSpeech
from lipstream.speech.synthesis.sentences import TextPiece
from lipstream.speech.synthesis.word_times import spoken_words

SAMPLE_RATE = 24_000  # Hz
VOICE = "heart"
SAMPLES_PER_UNIT = 600  # 25 ms, the unit in which the network counts a phoneme's length
DURATIONS = "/Clip_output_0"  # of its graph, (1, phonemes) float32
# The sound of a phoneme comes before its length says: by 45 to 60 ms where its mouth is measured
# (benchmarks/cpu/embedded_voice.py); Kokoro's own time stamps take three units off.
EARLY_UNITS = 2
SEED = 0  # of the breath in its sound: the same text is the same samples
LEAD_UNITS = 4  # 0.1 s: the network's own 0.3 s before each sentence delay the first word
FULL_SCALE = 32767

# (n,) samples, and at which of them each phoneme begins; last, where the last one ends.
TimedPhonemes: TypeAlias = tuple[npt.NDArray[np.int16], npt.NDArray[np.int64]]


class HibariVoice:
    """The network on one thread. Not to be called from two at once."""

    def __init__(self) -> None:
        from hibari import Hibari, tts

        network = Path(tts.ASSETS, "hibari.onnx").read_bytes()
        self._hibari: Any = Hibari(VOICE, model=with_output(network, DURATIONS), threads=1)
        self.say(TextPiece("Hi."))  # its dictionaries load with the first text, which takes long

    def say(self, piece: TextPiece) -> SynthesizedSpeech:
        """The samples of a piece, with a caption for each of its words.

        Text without a word in it, such as a smiley, is no samples. SynthesisError for text that
        trips the library.
        """
        try:
            phonemes = self.phonemes_of(piece.text)
            words = spoken_words(piece.text, " ".join(phonemes), self._hibari.g2p)
            if not words:
                return SynthesizedSpeech(np.zeros(0, np.int16))
            samples, starts = self._joined([self.synthesize(part) for part in phonemes])
        except Exception as error:  # of a young library, for any text that users send
            raise SynthesisError(
                f"the embedded voice cannot say a part of the text ({type(error).__name__}); "
                "write it in other words."
            ) from error
        captions = tuple(
            Caption(
                word.text,
                int(starts[word.first]),
                int(starts[word.end]),
                opens_line=piece.opens_line and n == 0,
            )
            for n, word in enumerate(words)
        )
        return SynthesizedSpeech(samples, captions)

    def phonemes_of(self, text: str) -> list[str]:
        """A line for each sentence, in the alphabet of misaki: IPA, with letters for diphthongs."""
        lines: list[str] = self._hibari.phonemize(text)
        return lines

    def synthesize(self, phonemes: str) -> TimedPhonemes:
        """Say one line of phonemes; of the long pause before it LEAD_UNITS are kept."""
        from hibari import dsp

        ids = np.asarray([self._hibari.ids(phonemes)], np.int64)
        speed = np.ones(1, np.float32)
        *curves, lengths = self._hibari.sess.run(None, {"ids": ids, "speed": speed})
        wave = dsp.synth(*(curve[0] for curve in curves), np.random.default_rng(SEED))
        units = np.rint(lengths.reshape(-1)).astype(np.int64)  # the pauses at both ends, too
        taken = np.zeros(len(phonemes) + 1, np.int64)
        taken[0] = min(units[0], LEAD_UNITS)
        taken[1:][[one in self._hibari.vocab for one in phonemes]] = units[1:-1]
        cut = int(units[0] - taken[0]) * SAMPLES_PER_UNIT
        samples = (np.clip(wave[cut:], -1, 1) * FULL_SCALE).astype(np.int16)
        return samples, np.maximum(taken.cumsum() - EARLY_UNITS, 0) * SAMPLES_PER_UNIT

    @staticmethod
    def _joined(parts: list[TimedPhonemes]) -> TimedPhonemes:
        """The lines one after another, as if their phonemes had been joined by blanks."""
        offsets = np.cumsum([0, *(len(samples) for samples, _ in parts)])
        starts = [times + offset for (_, times), offset in zip(parts, offsets, strict=False)]
        return np.concatenate([samples for samples, _ in parts]), np.concatenate(starts)


def with_output(network: bytes, name: str) -> bytes:
    """An ONNX file that also gives out a float tensor of its graph, called `name`.

    Protocol buffers that are written one after another are merged, so that a model with nothing but
    a graph with nothing but that output is put behind the file (https://protobuf.dev, "Last One
    Wins"; the numbers of the fields are those of onnx.proto: ModelProto.graph 7, GraphProto.output
    12, ValueInfoProto.name 1 and .type 2, TypeProto.tensor_type 1, Tensor.elem_type 1 = FLOAT).
    """
    tensor = _field(1, bytes([1 << 3, 1]))
    output = _field(12, _field(1, name.encode()) + _field(2, tensor))
    return network + _field(7, output)


def _field(number: int, data: bytes) -> bytes:
    """A field of bytes. Both number and length fit one byte of the encoding."""
    if number > 15 or len(data) > 127:
        raise ValueError("a longer field takes more bytes of length than are written here")
    return bytes([number << 3 | 2, len(data)]) + data
