"""Text in pieces that are synthesized one by one, so that the first words come early."""

from __future__ import annotations

import re
from dataclasses import dataclass

import sentencex

MAX_FIRST = 80  # characters; a first sentence that is longer is cut at a clause
MIN_CLAUSE = 16  # characters before such a cut: fewer make no phrase
MAX_JOINED = 80  # short sentences that follow each other are one request, and one caption
MAX_PIECE = 300  # what is longer still, text without punctuation too, is cut between words

# After a mark of a clause: a Latin one counts before a space only, as in "1,250" it is none.
CLAUSE = re.compile(r"(?<=[,;:—–])\s+|(?<=[、，；：])\s*")


@dataclass(frozen=True, slots=True)
class TextPiece:
    """One request's share of a text. White space in it is single spaces."""

    text: str
    opens_line: bool = True  # False where it goes on within a sentence


def pieces_of(text: str) -> list[TextPiece]:
    """Cut `text` into pieces; their texts together are `text`, but for white space.

    "Hi. Dr. Lee paid $3.50. He left." -> "Hi.", "Dr. Lee paid $3.50. He left."
    """
    pieces: list[TextPiece] = []
    for sentence in _sentences(text):
        parts = _cut(sentence, MAX_PIECE if pieces else MAX_FIRST)
        fits = len(pieces) > 1 and len(pieces[-1].text) + 1 + len(sentence) <= MAX_JOINED
        if fits and pieces[-1].opens_line:
            pieces[-1] = TextPiece(f"{pieces[-1].text} {sentence}")
        else:
            pieces += [TextPiece(part, opens_line=not n) for n, part in enumerate(parts)]
    return pieces


def _sentences(text: str) -> list[str]:
    """The sentences of each line. The rules of English, which know the marks of others too."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    found = [sentence.strip() for line in lines for sentence in sentencex.segment("en", line)]
    return [sentence for sentence in found if sentence]


def _cut(sentence: str, limit: int) -> list[str]:
    """At a clause where a part would be longer than `limit`, and nowhere longer than MAX_PIECE."""
    if len(sentence) <= limit:
        return [sentence]
    cuts = [match.span() for match in CLAUSE.finditer(sentence, MIN_CLAUSE)]
    before = [cut for cut in cuts if cut[0] <= limit] or cuts[:1]
    if not before or before[-1][0] > MAX_PIECE:
        if len(sentence) <= MAX_PIECE:
            return [sentence]
        space = sentence.rfind(" ", MIN_CLAUSE, MAX_PIECE)
        before = [(space, space + 1) if space > 0 else (MAX_PIECE, MAX_PIECE)]
    end, start = before[-1]
    rest = sentence[start:]
    return [sentence[:end], *(_cut(rest, MAX_PIECE) if rest else [])]
