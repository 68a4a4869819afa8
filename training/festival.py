"""festival as a source of speech: diphone, unit and HMM voices made from recorded people.

Debian's festvox-* packages cover English, Italian, Czech, Finnish, Russian, Catalan, Hindi, Marathi
and Telugu. Their phone names differ per language; the tables below translate them to IPA.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import IO

import soundfile

from training.phonemes import ARPABET, Segment, Utterance

# fmt: off
_SAME = {letter: letter for letter in "pbtdkmnfvszljrwaeiou"} | {"g": "ɡ", "#": "", "pau": ""}
_INDIC = _SAME | {
    "a": "ʌ", "aa": "a", "ih": "ɪ", "iy": "i", "uh": "ʊ", "uw": "u", "eh": "e", "ee": "e",
    "oh": "o", "oo": "o", "ay": "aɪ", "aw": "aʊ", "ch": "tʃ", "chh": "tʃ", "j": "dʒ", "jh": "dʒ",
    "T": "ʈ", "D": "ɖ", "N": "ɳ", "tth": "ʈ", "ddh": "ɖ", "th": "t", "dh": "d", "td": "ɖ",
    "bh": "b", "ph": "p", "kh": "k", "gh": "ɡ", "y": "j", "v": "ʋ", "L": "ɭ", "R": "ɽ", "sh": "ʃ",
    "sri": "ʃ", "ksh": "kʃ", "h": "h", "x": "x", "zh": "ʒ", "@": "ə", "bb": "", "mb": "",
}
_ITALIAN = _SAME | {
    "E": "ɛ", "O": "ɔ", "i1": "i", "e1": "e", "E1": "ɛ", "a1": "a", "o1": "o", "O1": "ɔ", "u1": "u",
    "S": "ʃ", "Z": "ʒ", "ts": "ts", "tS": "tʃ", "dz": "dz", "dZ": "dʒ", "J": "ɲ", "ng": "ŋ",
    "nf": "ɱ", "L": "ʎ",
}
_CATALAN = _ITALIAN | {
    "ax": "ə", "r": "ɾ", "rr": "r", "_": "", "y": "j", "B": "β", "D": "ð", "G": "ɣ",
}
_RUSSIAN = {soft * 2: soft for soft in "pbtdkgmnfvszlr"} | _SAME | {
    "ii": "i", "yy": "ɨ", "uu": "u", "ee": "ɛ", "oo": "o", "aa": "a", "a": "ɐ", "e": "ɪ", "y": "ɨ",
    "ae": "ə", "ay": "ɪ", "ur": "ʊ", "c": "ts", "ch": "tɕ", "sh": "ʂ", "sch": "ɕ", "zh": "ʐ",
    "h": "x", "hh": "x",
}
_CZECH = _SAME | {
    "e": "ɛ", "i": "ɪ", "a:": "a", "e:": "ɛ", "i:": "i", "o:": "o", "u:": "u", "c": "ts",
    "c~": "tʃ", "ch": "x", "h": "ɦ", "d~": "ɟ", "t~": "c", "n~": "ɲ", "n*": "ŋ", "s~": "ʃ",
    "z~": "ʒ", "r~": "r", "r~*": "r", "dz": "dz", "dz~": "dʒ", "_": "",
}
_FINNISH_SHORT = _SAME | {
    "a": "ɑ", "@": "æ", "7": "ø", "y": "y", "v": "ʋ", "h": "h", "N": "ŋ", "D": "ð", "T": "θ",
    "L": "ʎ", "S": "ʃ", "Z": "ʒ", "##": "", "&": "",
}
_FINNISH = _FINNISH_SHORT | {f"{name}:": ipa for name, ipa in _FINNISH_SHORT.items()}
# fmt: on

# voice -> language, encoding of its text, phone names
VOICES: dict[str, tuple[str, str, dict[str, str]]] = {
    "kal_diphone": ("en", "ascii", ARPABET),
    "ked_diphone": ("en", "ascii", ARPABET),
    "cmu_us_slt_arctic_hts": ("en", "ascii", ARPABET),
    "lp_diphone": ("it", "latin-1", _ITALIAN),
    "pc_diphone": ("it", "latin-1", _ITALIAN),
    "czech_dita": ("cs", "iso8859-2", _CZECH),
    "czech_krb": ("cs", "iso8859-2", _CZECH),
    "czech_machac": ("cs", "iso8859-2", _CZECH),
    "czech_ph": ("cs", "iso8859-2", _CZECH),
    "hy_fi_mv_diphone": ("fi", "latin-1", _FINNISH),
    "suo_fi_lj_diphone": ("fi", "latin-1", _FINNISH),
    "upc_ca_ona_hts": ("ca", "latin-1", _CATALAN),
    "msu_ru_nsh_clunits": ("ru", "utf-8", _RUSSIAN),
    "hindi_NSK_diphone": ("hi", "utf-8", _INDIC),
    "marathi_NSK_diphone": ("mr", "utf-8", _INDIC),
    "telugu_NSK_diphone": ("te", "utf-8", _INDIC),
}


class Festival:
    """One running festival, told what to say over its standard input."""

    def __init__(self, folder: Path) -> None:
        self._wave, self._labels = folder / "festival.wav", folder / "festival.seg"
        self._process = subprocess.Popen(
            ["festival", "--pipe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def say(self, text: str, voice: str, stretch: float) -> Utterance:
        """Speak `text` with durations multiplied by `stretch`.

        Raises ValueError when the voice cannot say it or uses a phone without a translation.
        """
        language, encoding, phones = VOICES[voice]
        self._wave.unlink(missing_ok=True)
        self._labels.unlink(missing_ok=True)
        quoted = text.replace("\\", "").replace('"', "")
        for line in (
            f"(voice_{voice})",
            f"(Parameter.set 'Duration_Stretch {stretch:.2f})",
            f'(set! spoken (utt.synth (Utterance Text "{quoted}")))',
            f'(utt.save.wave spoken "{self._wave}" \'riff)',
            f'(utt.save.segs spoken "{self._labels}")',
            '(format t "said\\n")',
            "(fflush nil)",
        ):
            self._pipe(self._process.stdin).write(line.encode(encoding, "ignore") + b"\n")
        self._pipe(self._process.stdin).flush()
        for answer in self._pipe(self._process.stdout):
            if answer.strip() == b"said":
                break
        else:
            raise RuntimeError(f"festival ended while {voice} spoke")
        if not self._labels.exists():
            raise ValueError(f"festival {voice} cannot say {text!r}")
        samples, sample_rate = soundfile.read(self._wave, dtype="float32")
        segments = []
        start = 0.0
        for row in self._labels.read_text().splitlines()[1:]:
            end, _, phone = row.split()[:3]
            if phone not in phones:
                raise ValueError(f"festival {voice} uses an unknown phone {phone}")
            segments.append(Segment(start, float(end), phones[phone]))
            start = float(end)
        return Utterance(samples, sample_rate, tuple(segments), f"festival {language} {voice}")

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe
