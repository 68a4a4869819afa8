"""Text in pieces: nothing lost, the first one early."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipstream.speech.synthesis.sentences import MAX_PIECE, TextPiece, pieces_of

LONG = (
    "When in the course of a long and winding sentence, which nobody asked for, a comma comes, "
    "it may be used to speak early."
)


def texts(text: str) -> list[str]:
    return [piece.text for piece in pieces_of(text)]


@settings(max_examples=25)
@given(st.text(st.characters(codec="utf-8"), max_size=400))
def test_nothing_is_lost_or_invented(text: str) -> None:
    pieces = texts(text)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(piece.strip() == piece and 0 < len(piece) <= MAX_PIECE for piece in pieces)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        ("Hi. Dr. Lee paid $3.50. He left.", ["Hi.", "Dr. Lee paid $3.50. He left."]),
        ("Hi. Yes. No. Well.", ["Hi.", "Yes. No. Well."]),  # short ones are said together
        ("Dr. Smith paid $3.50, e.g. at 9 a.m. today.", None),
        ("See www.example.com/a.b?c=1 and write to a.b@example.com now.", None),
        ("no mark at all in this text", None),
        ("你好。今天天气很好！", ["你好。", "今天天气很好！"]),
        ("One\ntwo", ["One", "two"]),
    ],
)
def test_sentences_are_found(text: str, pieces: list[str] | None) -> None:
    assert texts(text) == (pieces or [text])


def test_a_long_first_sentence_is_cut_at_a_clause() -> None:
    first, second = pieces_of(LONG)
    assert first == TextPiece(LONG[:74])
    assert second == TextPiece(LONG[75:], opens_line=False)
    assert texts(f"Hi. {LONG}") == ["Hi.", LONG]  # a later one is not


def test_text_without_end_is_cut_between_words() -> None:
    pieces = texts("word " * 200)
    assert len(pieces) > 3 and all(set(piece.split()) == {"word"} for piece in pieces)
