"""Things to say, in many languages: Debian's word lists and fortunes, and invented words.

Meaning does not matter, sounds do. Languages without a word list get words made of their syllables.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

_WORD_LISTS = {
    "en": "american-english",
    "de": "ngerman",
    "fr": "french",
    "es": "spanish",
    "it": "italian",
    "pt": "portuguese",
    "nl": "dutch",
    "sv": "swedish",
    "pl": "polish",
    "ca": "catalan",
    "da": "danish",
    "nb": "bokmaal",
    "bg": "bulgarian",
    "uk": "ukrainian",
}
_DICTIONARIES = {"ru": "ru_RU", "cs": "cs_CZ"}  # hunspell
_FORTUNES = {
    "en": "literature wisdom people science work computers cookie humorists law politics love pets",
    "it": "it/leggi it/luttazzi it/formiche",
    "pt": "brasil",
}
# Initials, vowels and finals of languages whose words are invented here; "-" is nothing
_SYLLABLES: dict[str, tuple[str, str, str]] = {
    "fi": (
        "p t k d h j l m n r s v",
        "a e i o u y ä ö aa ee ii oo uu yy ää ei ai uo ie äy",
        "- - - n t s l",
    ),
    "tr": ("b c ç d f g h j k l m n p r s ş t v y z", "a e ı i o ö u ü", "- - n r l k t ş z m p"),
    "hu": (
        "b d f g gy h j k l m n ny p r s sz t v z cs",
        "a á e é i í o ó ö ő u ú ü ű",
        "- - n r l k t s p m",
    ),
    "id": ("b c d g h j k l m n ng ny p r s t w y", "a e i o u ai au", "- - n ng k t s r m p"),
    "sw": ("b ch d f g h j k l m n ng ny p r s sh t v w y z mb", "a e i o u", "-"),
    "el": ("β γ δ ζ θ κ λ μ ν π ρ σ τ φ χ μπ ντ", "α ε ι ο ου η υ ω ά έ ί ό", "- - - ς ν"),
    "ka": (
        "ბ გ დ ვ ზ თ კ ლ მ ნ პ ჟ რ ს ტ ფ ქ ღ ყ შ ჩ ც ძ წ ჭ ხ ჯ ჰ",
        "ა ე ი ო უ",
        "- - ს მ ნ რ",
    ),
    "vi": (
        "b c d đ g h kh l m n nh ph r s t th tr v x",
        "a ă â e ê i o ô ơ u ư á à ạ ó",
        "- - n m ng t p",
    ),
    "hi": (
        "क ख ग च ज ट ड त थ द न प फ ब भ म य र ल व श स ह",
        "- ा ि ी ु ू े ै ो ौ",
        "- - - न र म ल",
    ),
    "mr": (
        "क ख ग च ज ट ड ण त थ द न प फ ब भ म य र ल व श स ह ळ",
        "- ा ि ी ु ू े ै ो ौ",
        "- - - न र म ल",
    ),
    "te": ("క ఖ గ చ జ ట డ ణ త థ ద న ప బ భ మ య ర ల వ శ స హ", "- ా ి ీ ు ూ ె ే ై ొ ో ౌ", "-"),
    "ja": (
        "-",
        "あ い う え お か き く け こ さ し す せ そ た ち つ て と な に ぬ ね の は ひ ふ へ ほ "
        "ま み む め も や ゆ よ ら り る れ ろ わ が ぎ ぐ げ ご ば び ぶ べ ぼ ぱ ぴ ぷ ぺ ぽ",
        "- - - ん",
    ),
    "cmn": (
        "b p m f d t n l g k h j q x zh ch sh r z c s y w",
        "a o e i u ai ei ao ou an en ang eng ong ia ie iao iu ian in iang ing ua uo ui uan un",
        "1 2 3 4",
    ),
}


def sentence(language: str, chance: random.Random) -> str:
    """Something that takes two to eight seconds to say in `language` (two-letter code)."""
    if language in _FORTUNES and chance.random() < 0.6:
        return chance.choice(_prose(language))
    count = chance.randint(5, 11)
    words = [_word_maker(language)(chance) for _ in range(count)]
    if chance.random() < 0.5:
        words[count // 2] += ","
    return " ".join(words) + "."


def languages() -> list[str]:
    """Codes of all languages that have something to say."""
    return sorted({*_WORD_LISTS, *_DICTIONARIES, *_SYLLABLES, "ko"})


@cache
def _word_maker(language: str) -> Callable[[random.Random], str]:
    if language == "ko":
        return _hangul
    if language in _SYLLABLES:
        initials, vowels, finals = (part.split() for part in _SYLLABLES[language])

        def invent(chance: random.Random) -> str:
            count = 2 if language == "cmn" else chance.randint(1, 4)
            parts = [
                chance.choice(initials) + chance.choice(vowels) + chance.choice(finals)
                for _ in range(count)
            ]
            return (" " if language == "cmn" else "").join(parts).replace("-", "")

        return invent
    words = _words(language)
    return lambda chance: chance.choice(words)


@cache
def _words(language: str) -> list[str]:
    if language in _DICTIONARIES:
        text = Path(f"/usr/share/hunspell/{_DICTIONARIES[language]}.dic").read_text("utf-8")
    else:
        text = Path(f"/usr/share/dict/{_WORD_LISTS[language]}").read_text("utf-8", "ignore")
    words = (line.split("/")[0].strip() for line in text.splitlines())
    return [word for word in words if 2 < len(word) < 12 and word.isalpha()]


@cache
def _prose(language: str) -> list[str]:
    """Sentences of 4 to 16 plain words from Debian's fortunes."""
    found = []
    for name in _FORTUNES[language].split():
        data = (Path("/usr/share/games/fortunes") / name).read_bytes()
        for part in re.split(r"[.!?;:%\n]{1,}\s|--|\"", data.decode("utf-8", "ignore")):
            words = part.split()
            if 4 <= len(words) <= 16 and re.fullmatch(r"[^\W\d_]+([ ,'][^\W\d_]*)*", part.strip()):
                found.append(" ".join(words) + ".")
    return found


def _hangul(chance: random.Random) -> str:
    initials = (0, 2, 3, 5, 6, 7, 9, 11, 12, 14, 15, 16, 17, 18)
    vowels = (0, 0, 4, 4, 8, 13, 18, 20, 20, 1, 5, 6, 12)
    finals = (0, 0, 0, 0, 1, 4, 8, 16, 17, 21)
    word = ""
    for _ in range(chance.randint(2, 4)):
        syllable = chance.choice(initials) * 588 + chance.choice(vowels) * 28
        word += chr(0xAC00 + syllable + chance.choice(finals))
    return word
