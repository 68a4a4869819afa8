"""Words as they are written, in phonemes as they are spoken."""

from __future__ import annotations

import pytest

from lipstream.speech.synthesis.word_times import spoken_words

ALONE = {
    "Pay": "pˈA",
    "$3": "θɹˈi dˈɑləɹz",
    "now.": "nˈW.",
    "--": "",
    "10": "tˈɛn",
    "a.m.": "ˌAˈɛm.",
}


@pytest.mark.parametrize(
    ("text", "phonemes", "words"),
    [
        ("Pay $3 now.", "pˈA θɹˈi dˈɑləɹz nˈW.", [("Pay", "pˈA"), ("$3", "θɹˈi dˈɑləɹz"),
                                                  ("now.", "nˈW")]),
        ("-- Pay -- now.", "— pˈA — nˈW.", [("-- Pay --", "pˈA"), ("now.", "nˈW")]),
        ("10 a.m. now.", "tˈɛnAˈɛm nˈW.", [("10 a.m.", "tˈɛnAˈɛm"), ("now.", "nˈW")]),
        ("Pay", "", []),
        ("--", "—", []),
    ],
)  # fmt: skip
def test_each_word_has_its_phonemes(text: str, phonemes: str, words: list[tuple[str, str]]) -> None:
    found = spoken_words(text, phonemes, ALONE.__getitem__)
    assert [(word.text, phonemes[word.first : word.end]) for word in found] == words
